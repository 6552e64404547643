package screen

import "syscall"

// resized is a signal that never comes: Windows has none for a terminal that
// has another size now. The next key draws the page again.
const resized = syscall.Signal(-1)
