package data

import (
	"strings"

	"fmt"

	"fluxion/data/setting"
)

// otherData break a run by what they are, not by their name: they may move or grow.
var otherData = setting.Breaks{Text: "other classes, or images of another shape"}

// NameSetting declares which images are read.
func NameSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "data", Value: setting.Of(p), Help: Usage(), Offers: beginnings(), Breaks: otherData,
	}
}

// beginnings are what Open takes up to a name of the user's: glyphs, toy:moons, mnist:.
func beginnings() (list []string) {
	for part := range strings.SplitSeq(Usage(), ", ") {
		name, rest, of := strings.Cut(part, ":")
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r != '-' && (r < 'a' || r > 'z') }):
		case !of:
			list = append(list, name)
		case rest[0] >= 'A' && rest[0] <= 'Z':
			list = append(list, name+":")
		default:
			for kind := range strings.SplitSeq(rest, "|") {
				list = append(list, name+":"+kind)
			}
		}
	}
	return list
}

// SizeSetting declares the size that images are brought to.
func SizeSetting(p *Size) setting.Setting {
	return setting.Setting{
		Key: "size", Value: setting.Text(p), Help: "side of the square images, or HEIGHTxWIDTH, as in 48x32", Unit: "pixels", Offers: []string{"32", "64", "128", "256"},
		Range: SizeRange(fmt.Sprintf("0 (as they are) or sides up to %d", MaxSide)), Breaks: otherData,
	}
}

// SizeRange is the sizes that images may be brought to; text tells them.
func SizeRange(text string) setting.Range {
	return setting.Range{Text: text, Holds: func(s any) bool { return s.(Size).check() == nil }}
}

// FitSetting declares how images are brought to their size.
func FitSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "fit", Value: setting.Of(p), Since: "2026-11-30", Before: string(Crop), Breaks: setting.Always, Range: setting.Range{Text: "crop, random-crop, random-crop:SHARE, pad, stretch, buckets or buckets:STEP", Holds: func(f any) bool { return Fit(fmt.Sprint(f)).check() == nil }},
		Help: "how images are brought to the size: crop (their middle is cut out), random-crop (a part is, another each time; random-crop:0.8 also smaller ones, down to that share of it), pad (all of them, between white bars), stretch, or in training buckets (each to the nearest of shapes of about the area of a square, whose sides are multiples of a step, as in buckets:8)",
	}
}

// RangeSetting declares what the values of images are from and to.
func RangeSetting(p *Range) setting.Setting {
	return setting.Setting{
		Key: "range", Value: setting.Text(p), Since: "2026-11-30", Breaks: setting.Always,
		Help: "LOW,HIGH: least and largest value of pictures or arrays, in their own units, such as 0,65535 of 16 bits; a network sees them from -1 to 1 with all their precision",
	}
}

// ChannelsSetting declares the channels that images are brought to.
func ChannelsSetting(p *int) setting.Setting {
	return setting.Setting{
		Key: "channels", Value: setting.Of(p), Help: "channels of the images", Breaks: otherData,
		Range: setting.Range{Text: "0 (as they are), 1 (grey) or 3 (RGB)", Holds: func(n any) bool { return n == 0 || n == 1 || n == 3 }},
	}
}

// LabelsSetting declares where the labels of images come from.
func LabelsSetting(p *string) setting.Setting {
	return setting.Setting{
		Key: "labels", Value: setting.Of(p), Since: "2026-11-30", Before: FolderLabels, Breaks: otherData,
		Help: "classes of the images: auto (what the set brings, as dataset.json or .cls, else its folders), folders, none, or FILE.csv or FILE.json of image and label; or what is no class: numbers (that the set brings, as dataset.json, labels of a .npz, a label column), numbers:COLUMN,COLUMN (of parquet, WebDataset or .npz), numbers:FILE.csv, numbers:FILE.json",
	}
}

// FlipSetting declares whether images are mirrored.
func FlipSetting(p *bool) setting.Setting {
	return setting.Setting{Key: "flip", Value: setting.Of(p), Help: "mirror images at random", Breaks: setting.Always}
}

// SkipBrokenSetting declares what becomes of images that cannot be decoded.
func SkipBrokenSetting(p *bool) setting.Setting {
	return setting.Setting{Key: "skip_broken", Value: setting.Of(p), Help: "leave out images that cannot be decoded; log.txt names them"}
}
