#!/usr/bin/env python3
"""A prompt with images: paths, URLs or bytes, of PNG, JPEG, GIF or WebP.

python examples/image_input.py photo.jpg another.png
"""

import sys

import llm_sync

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} IMAGE …")
    response = llm_sync.generate("What do you see? One sentence for each image.", images=sys.argv[1:], max_tokens=300)
    print(response.text)
    print(f"{response.usage.input_tokens} input tokens", file=sys.stderr)
