#!/usr/bin/env python3
"""Makes data/testdata/pictures: small pictures as other tools write them, and in
want/ what Pillow reads in them, upright and on white. Needs Pillow.

    python3 scripts/pictures.py
"""
import io
import pathlib
import struct
import zlib

from PIL import Image, ImageOps

ROOT = pathlib.Path(__file__).resolve().parent.parent / "data" / "testdata" / "pictures"
R, G, B, Y = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def corners(width=8, height=8, colours=(R, G, B, Y)):
    """Four rectangles: red, green, blue, yellow."""
    image = Image.new("RGB", (width, height))
    for i, c in enumerate(colours):
        x, y = i % 2 * width // 2, i // 2 * height // 2
        image.paste(c, (x, y, x + width // 2, y + height // 2))
    return image


def slope(width, height):
    """Colours that all differ, to see interpolation and edges."""
    image = Image.new("RGB", (width, height))
    for i in range(width * height):
        x, y = i % width, i // width
        image.putpixel((x, y), (37 * x % 256, 59 * y % 256, (91 * x + 17 * y) % 256))
    return image


def exif(value, order, kind=3):
    """A TIFF structure of one entry: the orientation."""
    e = "<" if order == "II" else ">"
    v = struct.pack(e + "HH", value, 0) if kind == 3 else struct.pack(e + "I", value)
    return order.encode() + struct.pack(e + "HIHHHI", 42, 8, 1, 0x0112, kind, 1) + v + struct.pack(e + "I", 0)


def save(name, data):
    """Writes a picture, and what Pillow sees in it."""
    (ROOT / name).write_bytes(data)
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    Image.alpha_composite(white, image).convert("RGB").save(ROOT / "want" / (name + ".png"))


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, raw, before=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def riff(*chunks):
    body = b"WEBP" + b"".join(i + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for i, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def inner(webp):
    """The chunks of a still WebP."""
    at, out = 12, []
    while at + 8 <= len(webp):
        n = struct.unpack("<I", webp[at + 4:at + 8])[0]
        out.append((webp[at:at + 4], webp[at + 8:at + 8 + n]))
        at += 8 + n + n % 2
    return [c for c in out if c[0] in (b"ALPH", b"VP8 ", b"VP8L")]


def u24(v):
    return struct.pack("<I", v)[:3]


def animated(canvas, frames):
    """An animation of (x, y, still WebP)."""
    chunks = [(b"VP8X", bytes([0x12, 0, 0, 0]) + u24(canvas[0] - 1) + u24(canvas[1] - 1)), (b"ANIM", b"\0\0\xff\xff\0\0")]
    for x, y, webp in frames:
        w, h = Image.open(io.BytesIO(webp)).size
        body = u24(x // 2) + u24(y // 2) + u24(w - 1) + u24(h - 1) + u24(100) + b"\0"
        for i, c in inner(webp):
            body += i + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2)
        chunks.append((b"ANMF", body))
    return riff(*chunks)


def bmp(width, height, bits, compression, pixels, palette=b"", masks=b""):
    offset = 14 + 40 + len(masks) + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + masks + palette + pixels


def main():
    (ROOT / "want").mkdir(parents=True, exist_ok=True)
    wide = corners(16, 8)
    for order in "II", "MM":
        for value in range(1, 9):
            save(f"exif-{value}-{order}.jpg", encoded(wide, "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + exif(value, order)))
    save("exif-long.jpg", encoded(wide, "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + exif(6, "MM", 4)))
    save("exif-9.jpg", encoded(wide, "JPEG", quality=100, subsampling=0, exif=b"Exif\0\0" + exif(9, "II")))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    save("xmp-8.jpg", encoded(wide, "JPEG", quality=100, subsampling=0, xmp=xmp))
    save("exif-6.png", encoded(wide, "PNG", exif=exif(6, "MM")))
    save("exif-5.webp", encoded(wide, "WEBP", lossless=True, exif=exif(5, "II")))
    save("prefixed-exif-7.webp", encoded(wide, "WEBP", lossless=True, exif=b"Exif\0\0" + exif(7, "MM")))
    save("orientation-8.tif", encoded(wide, "TIFF", tiffinfo={274: 8}, compression="tiff_lzw"))

    save("cmyk.jpg", encoded(corners(16, 16).convert("CMYK"), "JPEG", quality=100, subsampling=0))

    faint = slope(16, 12).convert("RGBA")
    for x in range(16):
        faint.putpixel((x, 3), (200, 30, 90, 17 * x))
    save("lossy.webp", encoded(slope(16, 16), "WEBP", quality=90))
    ramp = Image.new("L", (16, 16))
    ramp.putdata(range(256))
    save("grey.webp", encoded(ramp, "WEBP", quality=90))
    save("lossy-odd.webp", encoded(slope(7, 5), "WEBP", quality=90))
    save("lossy-alpha.webp", encoded(faint, "WEBP", quality=90))
    save("lossless-alpha.webp", encoded(faint, "WEBP", lossless=True, exact=True))
    small, lossy = encoded(corners(6, 4), "WEBP", lossless=True), encoded(corners(8, 8), "WEBP", quality=90)
    save("animated.webp", encoded(corners(), "WEBP", lossless=True, save_all=True, append_images=[corners(8, 8, (Y, B, G, R))]))
    save("animated-offset.webp", animated((12, 10), [(4, 2, small), (0, 0, lossy)]))
    save("animated-lossy.webp", animated((8, 8), [(0, 0, lossy), (0, 0, small)]))
    save("animated-alpha.webp", animated((18, 16), [(2, 4, encoded(faint, "WEBP", quality=90))]))

    palette = b"".join(bytes((b, g, r, 0)) for r, g, b in (R, G, B, Y, (9, 99, 199)))
    # A run, colours as they are, the end of a line; the next begins further right.
    rle8 = bytes([3, 1, 0, 3, 2, 3, 4, 0, 0, 0]) + bytes([0, 2, 1, 0, 4, 2, 1, 3, 0, 0]) + bytes([6, 3, 0, 1])
    save("rle8.bmp", bmp(6, 3, 8, 1, rle8, palette))
    rle4 = bytes([5, 0x12, 1, 0x30, 0, 0]) + bytes([0, 5, 0x01, 0x23, 0x40, 0, 1, 0x20, 0, 0]) + bytes([6, 0x34, 0, 1])
    save("rle4.bmp", bmp(6, 3, 4, 2, rle4, palette))
    words = [31 << 11, 63 << 5, 31, 0x8410, 0xffe0, 0x1234]
    rows = b"".join(struct.pack("<3H", *words[3 * y:3 * y + 3]) + b"\0\0" for y in range(2))
    save("565.bmp", bmp(3, 2, 16, 3, rows, masks=struct.pack("<III", 31 << 11, 63 << 5, 31)))
    save("555.bmp", bmp(3, 2, 16, 0, rows))

    rows = b"".join(b"\0" + wide.crop((0, y, 16, y + 1)).tobytes() for y in range(8))
    save("extra-pixels.png", png(16, 8, 8, 2, rows + b"extra data behind the pixels"))
    save("unfit-trns.png", png(16, 8, 8, 2, rows, chunk(b"tRNS", bytes(range(8)))))
    grey = b"".join(b"\0" + bytes(16 * x + y for x in range(16)) for y in range(8))
    save("grey.png", png(16, 8, 8, 0, grey))
    indices = b"".join(b"\0" + bytes([0x1b, 0xe4]) for _ in range(4))
    save("long-palette.png", png(8, 4, 2, 3, indices, chunk(b"PLTE", bytes(range(18)))))

    frame = corners(4, 2).quantize(4)
    gif = bytearray(encoded(frame, "GIF"))
    gif[6:10] = struct.pack("<HH", 8, 6)  # the canvas
    at = gif.index(b"\x2c\0\0\0\0")  # the frame, moved on it
    gif[at + 1:at + 5] = struct.pack("<HH", 3, 2)
    save("offset.gif", bytes(gif))
    clear = Image.new("RGBA", (4, 2), (255, 128, 0, 255))
    clear.putpixel((1, 1), (0, 0, 0, 0))
    gif = bytearray(encoded(clear, "GIF"))
    gif[6:10] = struct.pack("<HH", 8, 6)
    save("clear.gif", bytes(gif))
    save("lzw.tif", encoded(slope(9, 7), "TIFF", compression="tiff_lzw"))
    save("really-a.png", encoded(slope(9, 7), "GIF"))


main()
