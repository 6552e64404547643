// Package disk is a file system for tests, in memory and mounted through FUSE,
// whose power can be cut. It models what POSIX promises of a disk with a volatile
// write cache, and nothing more.
//
// # What is durable
//
// Every write, truncation and punched hole of a file is volatile until fsync or
// fdatasync of that file has returned. A name (of a new file or directory, of a
// link, of a rename, or its removal) is volatile until fsync of the directory it
// stands in. Syncing a file does not sync its name. Owner and mode last at once.
//
// # What a cut does
//
// Disk.Cut returns the disk that is found after the power came back. Of each
// file and of the names it forgets, keeps or tears what was volatile, as Loss
// says or as chance decides:
//
//   - LoseAll: nothing volatile is there.
//   - KeepAll: everything is there, as after a process was killed.
//   - Ordered: what came before some moment is there, as with an ordered journal.
//   - Subset: each write is there or not.
//   - Torn: each sector of 512 bytes holds the durable content or that of any of
//     the writes to it, and the file's size is any that it had since the last sync.
//
// Under Subset and Torn each name changes or not; a rename may leave both names,
// but never none, and the new name has the old or the new file.
//
// # What a failed sync does
//
// A sync that a Fault lets fail writes some sectors and drops the others. They
// are clean afterwards: no later sync writes them, while the page cache goes on to
// show them until it is dropped. This is what ext4 does (Rebello et al., Can
// Applications Recover from fsync Failures?, USENIX ATC 2020). The page cache is
// the kernel's own, so mmap works; reads that reach this package are reads of the
// disk.
//
// # Use
//
// The process that serves the file system must not map its files, nor wait for a
// page fault in them in any other way: the collector's stop of the world would
// wait for the fault, and the fault for this process. So whatever is to be tested
// runs in a child.
package disk
