package data

import "path/filepath"

// Autoencoder is that whose latents the images of a set are. A folder of such a set has it in
// AutoencoderDir.
type Autoencoder struct {
	Dir    string
	Digest string
	Tile   int    // side of the tiles that images were encoded in; 0: whole
	Of     string // the folder that it was read from, as a user named it
}

// AutoencoderOf says whose latents a set holds; ok is false of one that holds images.
func AutoencoderOf(d Dataset) (a Autoencoder, ok bool) {
	switch d := stored(d).(type) {
	case *latents:
		return Autoencoder{filepath.Join(d.dir, AutoencoderDir), d.Autoencoder, d.Tile, d.Made["vae"]}, true
	case *pairs:
		return Autoencoder{filepath.Join(d.dir, AutoencoderDir), d.Autoencoder, d.Tile, d.Made["model"]}, d.Autoencoder != ""
	}
	return a, false
}
