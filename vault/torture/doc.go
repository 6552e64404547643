// Package torture breaks disks under a vault. Its tests run the vault, and the
// whole server, on package disk: a file system whose power can be cut and whose
// operations can fail. They look for everything that was ever acknowledged.
//
// It is a module of its own, so that what only these tests need is linked into
// no program.
//
//	go test ./...                       60 rounds, less than a minute
//	go test . -rounds 5000 -timeout 0   torture
//	go test . -run PowerCut -seed 7     what chance did with this seed
//
// The seed decides what fails, when (counted in changes and syncs of the disk) and
// what is lost; the order of goroutines and the vault's keys it does not.
package torture
