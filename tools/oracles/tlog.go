// Verifies a log folder with Go's sumdb packages: every checkpoint in
// checkpoints/<size> must be signed by the given key, its tiles must hash to its root,
// entries must be in it, and it must extend the checkpoint before it.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run tlog.go FOLDER VKEY
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type folder string

func (f folder) Height() int                          { return 8 }
func (f folder) SaveTiles([]tlog.Tile, [][]byte)      {}

// path drops the height, which the tlog-tiles layout does not name.
func (f folder) path(name string) string {
	return filepath.Join(string(f), strings.Replace(name, "tile/8/", "tile/", 1))
}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		data, err := f.read(tile)
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (f folder) read(tile tlog.Tile) ([]byte, error) {
	data, err := os.ReadFile(f.path(tile.Path()))
	if err == nil || tile.W == 256 {
		return data, err
	}
	full := tile
	full.W = 256
	data, err = os.ReadFile(f.path(full.Path()))
	if err != nil {
		return nil, err
	}
	return data[:tile.W*32], nil
}

func (f folder) entry(index, size int64) ([]byte, error) {
	number := index / 256
	width := size - number*256
	if width > 256 {
		width = 256
	}
	tile := tlog.Tile{H: 8, L: 0, N: number, W: int(width)}
	name := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(string(f), name))
	if err != nil {
		tile.W = 256
		name = strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
		if data, err = os.ReadFile(filepath.Join(string(f), name)); err != nil {
			return nil, err
		}
	}
	for at := int64(0); ; at++ {
		if len(data) < 2 {
			return nil, fmt.Errorf("bundle %d ends early", number)
		}
		length := int(data[0])<<8 | int(data[1])
		if len(data) < 2+length {
			return nil, fmt.Errorf("bundle %d ends within an entry", number)
		}
		if at == index%256 {
			return data[2 : 2+length], nil
		}
		data = data[2+length:]
	}
}

func open(path string, verifiers note.Verifiers, name string) (tlog.Tree, error) {
	var tree tlog.Tree
	data, err := os.ReadFile(path)
	if err != nil {
		return tree, err
	}
	signed, err := note.Open(data, verifiers)
	if err != nil {
		return tree, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != name || lines[3] != "" {
		return tree, fmt.Errorf("odd text: %q", signed.Text)
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(hash) != tlog.HashSize {
		return tree, fmt.Errorf("bad root %q", lines[2])
	}
	copy(tree.Hash[:], hash)
	return tree, nil
}

func check(f folder, tree, previous tlog.Tree) error {
	if tree.N == 0 {
		return nil
	}
	reader := tlog.TileHashReader(tree, f)
	for _, index := range []int64{0, tree.N / 3, tree.N / 2, tree.N - 1} {
		entry, err := f.entry(index, tree.N)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	if previous.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, previous.N, reader)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, previous.N, previous.Hash)
}

func run() error {
	f := folder(os.Args[1])
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(os.Args[1], "checkpoints", "*"))
	if err != nil {
		return err
	}
	var trees []tlog.Tree
	for _, name := range names {
		tree, err := open(name, note.VerifierList(verifier), verifier.Name())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		trees = append(trees, tree)
	}
	sort.Slice(trees, func(i, j int) bool { return trees[i].N < trees[j].N })
	var previous tlog.Tree
	for _, tree := range trees {
		if err := check(f, tree, previous); err != nil {
			return fmt.Errorf("size %d: %w", tree.N, err)
		}
		previous = tree
	}
	fmt.Println(len(trees))
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
