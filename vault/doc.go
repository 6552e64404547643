// Package vault keeps sealed reports in bbolt. It can neither make nor open a
// report: it imports no age, and the headers that recipients need are sealed
// once more under keys that an overwrite destroys.
//
// # Files
//
//	vault.db           rows: cases, items, headers, queued events; the log. Small.
//	keys.slots         one 32-byte key for each row's owner, overwritten in place.
//	blobs/00000001.db  payloads of the age files, in values of 256 KiB.
//	high-water         newest checkpoint that was signed; outside backups.
//	reserve            room for deletions and the log when others have filled the disk.
//
// A row shows its key, a slot number and a state; all else in it is sealed with
// XChaCha20-Poly1305 under the key in that slot. The age header of an item is
// sealed the same way and stored apart from its payload. Overwriting one slot
// therefore destroys one item for good, wherever old pages of it remain.
//
// # What is durable when
//
// An item becomes durable in this order: its slot (fdatasync), its payload (one
// or more transactions of a blob file), and ONE transaction of vault.db that
// holds case, item, header and queued event. Commit returns nil after the last
// of them. What a crash leaves of an unfinished draft, a slot without a row or a
// payload without an item, is swept by the next Open.
//
// # The log
//
// CloseEpoch turns queued events and fillers into leaves, tiles and a signed
// checkpoint, in one transaction; then high-water is written, then the queue's keys
// are overwritten. The vault runs translog.Monitor over everything that it appends,
// so it signs nothing that an auditor would refuse. A vault that has seen less than
// high-water is an old copy: it signs nothing until Recover has the missing leaves.
//
// # Deletion
//
// The rows first say that they go, with the tombstone queued; then their keys are
// overwritten; then rows and payloads go, and free pages become holes. A start
// completes what a crash cut short.
//
// # Backups
//
// Backup hands out keys.slots and the rest as they are at one moment. Keep the keys
// apart, and not for long: what is deleted later stays readable for whoever has both.
//
// # Errors
//
// ENOSPC, EDQUOT or EFBIG from a write of a blob transaction (or from growing
// keys.slots, before anything is stored) refuses that one report with ErrFull.
// Every other storage error, and every error of a transaction of vault.db, has
// an unknown outcome: after a failed fsync the page cache shows what the disk
// may lack. The vault then stops for good, Failed is closed, and every call
// returns ErrUnknown. The next start keeps what is there, with its event.
//
// A row or a payload that does not verify is damage: it is refused with
// ErrDamaged and named by Check, and everything else stays readable. While a
// vault has damaged rows, or is an old copy, nothing is swept: what looks left over
// may be what the damaged row is about, or what came after the copy.
//
// # Writing
//
// One goroutine writes. It takes everything that waits, finished reports before
// segments of long ones, at most 4 MiB for one blob transaction, makes it
// durable together and answers all (group commit). Reads are short transactions
// of their own; none stays open while somebody downloads.
//
// The formats are specified in docs/formats.md.
package vault
