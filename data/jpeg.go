package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"strings"
)

func jpegConfig(data []byte) (image.Config, error) {
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	return c, jpegError(data, err)
}

func decodeJPEG(data []byte) (image.Image, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	return img, jpegError(data, err)
}

func jpegError(data []byte, err error) error {
	if what := jpeg.UnsupportedError(""); errors.As(err, &what) {
		return unsupported(jpegFeature(data, string(what)))
	}
	return err
}

// jpegSegments calls visit with the segments before the first scan (ITU-T T.81,
// B.1.1) until it returns false.
func jpegSegments(data []byte, visit func(marker byte, body []byte) bool) {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker := data[at+1]
		if marker == 0xff { // fill
			at++
			continue
		}
		n := int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xda || n < 2 || at+2+n > len(data) {
			return
		}
		if !visit(marker, data[at+4:at+2+n]) {
			return
		}
		at += 2 + n
	}
}

// jpegFeature names what the frame header asks for; otherwise is what the decoder said.
func jpegFeature(data []byte, otherwise string) string {
	feature := otherwise
	jpegSegments(data, func(marker byte, body []byte) bool {
		if marker&0xf0 != 0xc0 || marker == 0xc4 || marker == 0xc8 || marker == 0xcc {
			return true
		}
		switch process := marker & 0x0f; { // T.81, table B.1
		case process >= 9:
			feature = "arithmetic coding"
		case process == 3:
			feature = "lossless coding"
		case process >= 5:
			feature = "hierarchical coding"
		case len(body) < 6:
		case body[0] != 8:
			feature = fmt.Sprintf("%d bits a sample", body[0])
		case body[5] != 1 && body[5] != 3 && body[5] != 4:
			feature = fmt.Sprintf("%d components", body[5])
		case strings.Contains(otherwise, "subsampling"):
			var factors []string
			for i := 6; i+3 <= len(body); i += 3 {
				factors = append(factors, fmt.Sprintf("%d×%d", body[i+1]>>4, body[i+1]&0x0f))
			}
			feature = "subsampling " + strings.Join(factors, ", ")
		}
		return false
	})
	return feature
}

// jpegMetadata finds Exif (JEITA CP-3451, 4.7.2) and XMP in the APP1 segments.
func jpegMetadata(data []byte) (exif, xmp []byte) {
	jpegSegments(data, func(marker byte, body []byte) bool {
		if marker != 0xe1 {
			return true
		}
		if rest, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && exif == nil {
			exif = rest
		}
		if rest, ok := bytes.CutPrefix(body, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok && xmp == nil {
			xmp = rest
		}
		return true
	})
	return exif, xmp
}
