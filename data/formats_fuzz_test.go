package data

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// seeds gives a fuzz target files of testdata/formats, whole and cut.
func seeds(f *testing.F, names ...string) {
	for _, name := range names {
		file, err := os.ReadFile(filepath.Join("testdata", "formats", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
		f.Add(file[:len(file)/2])
	}
}

// readSome reads images of a set that may be anything.
func readSome(t *testing.T, d Dataset) {
	e := NewExample(d)
	for i := range min(d.Len(), 10) {
		e.Class = -1
		err := d.Read(i, e)
		wellPut(t, err)
		if err == nil && (e.Class < -1 || e.Class >= len(d.Classes())) {
			t.Fatalf("class %d of %v", e.Class, d.Classes())
		}
	}
}

// FuzzTar: any bytes as a tar.
func FuzzTar(f *testing.F) {
	seeds(f, "wds-000000.tar", "json.tar", "numbers.tar")
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, labels := range []string{"", "numbers", "numbers:age,pose2"} {
			o := Options{Size: Square(2), Labels: labels}
			found := newTars(o)
			if err := found.read("a.tar", "", bytes.NewReader(file)); err != nil {
				wellPut(t, err)
				continue
			}
			set := &files{name: "a", root: "a.tar!"}
			err := found.complete(set, o)
			wellPut(t, err)
			if err == nil {
				readSome(t, set)
				set.Fingerprint()
			}
		}
	})
}

// FuzzParquet: any bytes as parquet.
func FuzzParquet(f *testing.F) {
	seeds(f, "plain.parquet", "gaps.parquet", "hub/data/train-00000-of-00002.parquet", "hub/data/train-00001-of-00002.parquet", "hub/data/test-00000-of-00001.parquet", "numbers.parquet", "numbers2.parquet")
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, labels := range []string{"", "numbers", "numbers:age,gaps,smile,large"} {
			o := Options{Size: Square(2), Labels: labels}
			found := newTable(o)
			if err := found.read("a.parquet", "", bytes.NewReader(file), int64(len(file))); err != nil {
				wellPut(t, err)
				continue
			}
			if len(found.pictures) > 10_000 { // of a footer that announces many, all of them null
				return
			}
			set := &files{name: "a", root: "a.parquet!"}
			err := found.complete(set, o)
			wellPut(t, err)
			if err == nil {
				readSome(t, set)
				set.Fingerprint()
			}
		}
	})
}

// FuzzCIFAR: any bytes as a batch, a pickle or records.
func FuzzCIFAR(f *testing.F) {
	seeds(f, "cifar-10-batches-py/data_batch_1", "cifar-100-python/train", "cifar-10-batches-bin/data_batch_1.bin")
	f.Add(python2(1))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "batch")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range cifarLayouts {
			l.ending = map[bool]string{true: ".bin"}[l.ending != ""]
			planes, labels, err := l.batch(path)
			wellPut(t, err)
			if err == nil && len(planes) != len(labels)*3*cifarSide*cifarSide {
				t.Fatalf("%d bytes of %d images", len(planes), len(labels))
			}
		}
	})
}

// python2 is a batch as the program that made CIFAR pickled it: strings are bytes.
func python2(label byte) []byte {
	b := []byte("\x80\x02}q\x01(U\x06labelsq\x02]q\x03K" + string(label) + "aU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85q\x07U\x01b\x87R(K\x01K\x01M\x00\x0c\x86" +
		"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T")
	b = binary.LittleEndian.AppendUint32(b, 3*cifarSide*cifarSide)
	return append(append(b, bytes.Repeat([]byte{7}, 3*cifarSide*cifarSide)...), "tbu."...)
}

// TestPython2: what Python 2 pickled is read, though its texts are bytes.
func TestPython2(t *testing.T) {
	planes, labels, err := cifarLayouts[0].unpickle(python2(6))
	if err != nil || len(planes) != 3*cifarSide*cifarSide || planes[5] != 7 || len(labels) != 1 || labels[0] != 6 {
		t.Errorf("%d bytes, labels %v, %v", len(planes), labels, err)
	}
}
