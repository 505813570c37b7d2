"""Writes tests/parallel/nf4_golden.h: what bitsandbytes makes of values that tests/parallel/quantise_test.cpp makes again.

    pip install bitsandbytes==0.50.2
    TORCHDYNAMO_DISABLE=1 python scripts/golden/nf4.py

A case is a formula, so that the file holds digests alone (FNV-1a of the bytes) and the codes of the first block.
"""
import pathlib

import bitsandbytes
import bitsandbytes.functional as bnb
import numpy
import torch

TARGET = pathlib.Path(__file__).resolve().parent.parent.parent / "tests/parallel/nf4_golden.h"
KINDS = {"kPlain": 64 * 40, "kCubed": 64 * 700 + 5, "kOdd": 3 * 43, "kZeros": 70, "kOneHuge": 64 * 300, "kBorders": 2 * 64}


def draws(seed, count):
    """Uniform in [-1, 1), multiples of 2^-23."""
    state, values = seed, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(((state >> 8) - 2**23) / 2**23)
    return numpy.array(values, dtype=numpy.float32)


def values_of(kind, seed, count):
    u = draws(seed, count)
    if kind == "kCubed":
        return u * u * u
    if kind == "kZeros":
        return u * 0
    if kind == "kOneHuge":
        u[100] = 3e38
    if kind == "kBorders":
        numbers = bnb.get_4bit_type("nf4", device="cpu").numpy()
        cycle = numpy.concatenate([numbers, (numbers[:-1] + numbers[1:]) / numpy.float32(2)])
        return numpy.resize(cycle, count)
    return u


def fnv(array):
    digest = 0xCBF29CE484222325
    for byte in numpy.ascontiguousarray(array).tobytes():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return f"0x{digest:016x}ULL"


def row(kind, seed, count):
    values = torch.from_numpy(values_of(kind, seed, count))
    codes, plain = bnb.quantize_4bit(values, quant_type="nf4", blocksize=64)
    nested = bnb.quantize_4bit(values, quant_type="nf4", blocksize=64, compress_statistics=True)[1]
    # LibTorch adds float32 in an order that depends on the processor, Moesaic float64 in the order of the scales.
    mean = numpy.float32(plain.absmax.numpy().astype(numpy.float64).sum() / plain.absmax.numel())
    if mean != nested.offset.numpy():
        return row(kind, seed + 1, count)
    numbers = bnb.dequantize_4bit(codes, nested).flatten().numpy()
    assert numbers.size == count
    parts = [codes.flatten().numpy(), plain.absmax.numpy(), nested.absmax.numpy(), nested.state2.absmax.numpy(),
             numpy.array([mean]), numbers]
    first = ", ".join(str(code) for code in parts[0][:32])
    return f"    {{Kind::{kind}, {seed}U, {count}, {', '.join(map(fnv, parts))}, {{{first}}}}},\n"


def main():
    rows = "".join(row(kind, 1, count) for kind, count in KINDS.items())
    TARGET.write_text(f"""\
// What bitsandbytes {bitsandbytes.__version__} makes of the values of quantise_test.cpp; written by scripts/golden/nf4.py.
#pragma once

#include <array>
#include <cstdint>

// clang-format off
namespace moesaic::test {{

enum class Kind {{ {", ".join(KINDS)} }};

/// Digests (FNV-1a) of the bytes of each part, and of the numbers that come back.
struct Nf4Golden {{
  Kind kind;
  std::uint32_t seed;
  std::int64_t count;
  std::uint64_t codes, scales, scale_codes, outer_scales, mean, numbers;
  std::array<std::uint8_t, 32> first_codes;  // of the first 64 values
}};

inline constexpr std::uint64_t kScaleNumbers = {fnv(bnb.create_dynamic_map().numpy())};

inline constexpr std::array<Nf4Golden, {len(KINDS)}> kNf4Golden = {{{{
{rows}}}}};

}}  // namespace moesaic::test
// clang-format on
""")


if __name__ == "__main__":
    main()
