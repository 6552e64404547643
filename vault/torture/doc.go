// Package torture breaks disks under a vault. Its tests run the vault, and the
// whole server, on package disk: a file system whose power can be cut and whose
// operations can fail. They look for everything that was ever acknowledged.
//
// It is a module of its own, so that what only these tests need is linked into
// no program.
//
//	go test ./...                                 60 rounds, about a minute
//	go test . -args -rounds 5000                  torture; with -timeout 0
//	go test . -args -duration 1h -tiny 10000      passes of 60 rounds, each with the next seed, for an hour
//	go test . -run PowerCut -args -seed 7         what chance did with this seed
//	go test . -run LargeBackup -args -gib 10      a backup of 10 GiB, and back; needs 30 GiB
//
// The seed decides what fails, when (counted in changes and syncs of the disk) and
// what is lost; the order of goroutines and the vault's keys it does not. A run ends
// with a table of what was done, acknowledged and lost.
package torture
