// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <bit>
#include <cstdint>

/// Which bucket of a base-2 exponential histogram a value belongs to: bucket i of scale s takes (2^(i/2^s),
/// 2^((i+1)/2^s)] (OpenTelemetry specification, metrics data model). Exact for every double, also next to the borders,
/// which are irrational but for the powers of two.
namespace otlpkit::inline OTLPKIT_ABI::detail::exponential {

inline constexpr std::int32_t max_scale = 20;
inline constexpr std::int32_t min_scale = -11;  ///< all doubles above zero are in two buckets
inline constexpr std::int32_t table_scale = 7;

/// The 52 fraction bits of 2^(i/128), rounded down; the last is 2.
inline constexpr std::uint64_t borders[129] = {
    0x0000000000000u, 0x0163DA9FB3335u, 0x02C9A3E778060u,  0x04315E86E7F84u, 0x059B0D3158574u, 0x0706B29DDF6DDu,
    0x0874518759BC8u, 0x09E3ECAC6F383u, 0x0B5586CF9890Fu,  0x0CC922B7247F7u, 0x0E3EC32D3D1A2u, 0x0FB66AFFED31Au,
    0x11301D0125B50u, 0x12ABDC06C31CBu, 0x1429AAEA92DDFu,  0x15A98C8A58E51u, 0x172B83C7D517Au, 0x18AF9388C8DE9u,
    0x1A35BEB6FCB75u, 0x1BBE084045CD3u, 0x1D4873168B9AAu,  0x1ED5022FCD91Cu, 0x2063B88628CD6u, 0x21F49917DDC96u,
    0x2387A6E756238u, 0x251CE4FB2A63Fu, 0x26B4565E27CDDu,  0x284DFE1F56380u, 0x29E9DF51FDEE1u, 0x2B87FD0DAD98Fu,
    0x2D285A6E4030Bu, 0x2ECAFA93E2F56u, 0x306FE0A31B715u,  0x32170FC4CD831u, 0x33C08B26416FFu, 0x356C55F929FF0u,
    0x371A7373AA9CAu, 0x38CAE6D05D865u, 0x3A7DB34E59FF6u,  0x3C32DC313A8E4u, 0x3DEA64C123422u, 0x3FA4504AC801Bu,
    0x4160A21F72E29u, 0x431F5D950A896u, 0x44E086061892Du,  0x46A41ED1D0057u, 0x486A2B5C13CD0u, 0x4A32AF0D7D3DEu,
    0x4BFDAD5362A27u, 0x4DCB299FDDD0Du, 0x4F9B2769D2CA6u,  0x516DAA2CF6641u, 0x5342B569D4F81u, 0x551A4CA5D920Eu,
    0x56F4736B527DAu, 0x58D12D497C7FDu, 0x5AB07DD485429u,  0x5C9268A5946B7u, 0x5E76F15AD2148u, 0x605E1B976DC08u,
    0x6247EB03A5584u, 0x6434634CCC31Fu, 0x6623882552224u,  0x68155D44CA973u, 0x6A09E667F3BCCu, 0x6C012750BDABEu,
    0x6DFB23C651A2Eu, 0x6FF7DF9519483u, 0x71F75E8EC5F73u,  0x73F9A48A58173u, 0x75FEB564267C8u, 0x780694FDE5D3Fu,
    0x7A11473EB0186u, 0x7C1ED0130C132u, 0x7E2F336CF4E62u,  0x80427543E1A11u, 0x82589994CCE12u, 0x8471A4623C7ACu,
    0x868D99B4492ECu, 0x88AC7D98A6699u, 0x8ACE5422AA0DBu,  0x8CF3216B5448Bu, 0x8F1AE99157736u, 0x9145B0B91FFC5u,
    0x93737B0CDC5E4u, 0x95A44CBC8520Eu, 0x97D829FDE4E4Fu,  0x9A0F170CA07B9u, 0x9C49182A3F090u, 0x9E86319E32323u,
    0xA0C667B5DE564u, 0xA309BEC4A2D33u, 0xA5503B23E255Cu,  0xA799E1330B358u, 0xA9E6B5579FDBFu, 0xAC36BBFD3F379u,
    0xAE89F995AD3ADu, 0xB0E07298DB665u, 0xB33A2B84F15FAu,  0xB59728DE55939u, 0xB7F76F2FB5E46u, 0xBA5B030A10649u,
    0xBCC1E904BC1D2u, 0xBF2C25BD71E08u, 0xC199BDD85529Cu,  0xC40AB5FFFD07Au, 0xC67F12E57D14Bu, 0xC8F6D9406E7B5u,
    0xCB720DCEF9069u, 0xCDF0B555DC3F9u, 0xD072D4A07897Bu,  0xD2F87080D89F1u, 0xD5818DCFBA487u, 0xD80E316C98397u,
    0xDA9E603DB3285u, 0xDD321F301B460u, 0xDFC97337B9B5Eu,  0xE264614F5A128u, 0xE502EE78B3FF6u, 0xE7A51FBC74C83u,
    0xEA4AFA2A490D9u, 0xECF482D8E67F0u, 0xEFA1BEE615A27u,  0xF252B376BBA97u, 0xF50765B6E4540u, 0xF7BFDAD9CBE13u,
    0xFA7C1819E90D8u, 0xFD3C22B8F71F1u, 0x10000000000000u,
};

/// By the first eight fraction bits: the last border at or below all values that begin with them. At most one more
/// border is below such a value.
inline constexpr std::uint8_t first_border[256] = {
    0,   0,   1,   2,   2,   3,   4,   4,   5,   6,   7,   7,   8,   9,   9,   10,  11,  11,  12,  13,  13,  14,
    15,  15,  16,  17,  17,  18,  19,  19,  20,  21,  21,  22,  23,  23,  24,  24,  25,  26,  26,  27,  28,  28,
    29,  29,  30,  31,  31,  32,  32,  33,  34,  34,  35,  35,  36,  37,  37,  38,  38,  39,  40,  40,  41,  41,
    42,  42,  43,  44,  44,  45,  45,  46,  46,  47,  48,  48,  49,  49,  50,  50,  51,  51,  52,  52,  53,  54,
    54,  55,  55,  56,  56,  57,  57,  58,  58,  59,  59,  60,  60,  61,  61,  62,  62,  63,  63,  64,  64,  65,
    66,  66,  67,  67,  68,  68,  69,  69,  70,  70,  70,  71,  71,  72,  72,  73,  73,  74,  74,  75,  75,  76,
    76,  77,  77,  78,  78,  79,  79,  80,  80,  81,  81,  81,  82,  82,  83,  83,  84,  84,  85,  85,  86,  86,
    86,  87,  87,  88,  88,  89,  89,  90,  90,  90,  91,  91,  92,  92,  93,  93,  94,  94,  94,  95,  95,  96,
    96,  97,  97,  97,  98,  98,  99,  99,  100, 100, 100, 101, 101, 102, 102, 102, 103, 103, 104, 104, 104, 105,
    105, 106, 106, 107, 107, 107, 108, 108, 109, 109, 109, 110, 110, 111, 111, 111, 112, 112, 112, 113, 113, 114,
    114, 114, 115, 115, 116, 116, 116, 117, 117, 117, 118, 118, 119, 119, 119, 120, 120, 121, 121, 121, 122, 122,
    122, 123, 123, 123, 124, 124, 125, 125, 125, 126, 126, 126, 127, 127,
};

/// 2^(1/2), 2^(1/4), ... 2^(1/2^20), each as an unevaluated sum of two doubles.
struct two_doubles {
  double high;
  double low;
};
inline constexpr two_doubles roots_of_two[20] = {
    {0x1.6a09e667f3bcdp+0, -0x1.bdd3413b26456p-54}, {0x1.306fe0a31b715p+0, 0x1.6f46ad23182e4p-55},
    {0x1.172b83c7d517bp+0, -0x1.19041b9d78a76p-55}, {0x1.0b5586cf9890fp+0, 0x1.8a62e4adc610bp-54},
    {0x1.059b0d3158574p+0, 0x1.d73e2a475b465p-55},  {0x1.02c9a3e778061p+0, -0x1.19083535b085dp-56},
    {0x1.0163da9fb3335p+0, 0x1.b61299ab8cdb7p-54},  {0x1.00b1afa5abcbfp+0, -0x1.4f6b2a7609f71p-55},
    {0x1.0058c86da1c0ap+0, -0x1.5e00e62d6b30dp-56}, {0x1.002c605e2e8cfp+0, -0x1.d7c96f201bb2fp-55},
    {0x1.00162f3904052p+0, -0x1.7b5d0d58ea8f4p-58}, {0x1.000b175effdc7p+0, 0x1.ae8e38c59c72ap-54},
    {0x1.00058ba01fba0p+0, -0x1.a4a4d4cad39fep-54}, {0x1.0002c5cc37da9p+0, 0x1.247426170d232p-54},
    {0x1.000162e525ee0p+0, 0x1.51d5115f56655p-54},  {0x1.0000b17255776p+0, -0x1.fdfcf3a05ada9p-55},
    {0x1.000058b91b5bdp+0, -0x1.9474449f85921p-54}, {0x1.00002c5c89d5fp+0, -0x1.c9ad941ba99ffp-55},
    {0x1.0000162e43f50p+0, -0x1.f3be7c7f49f19p-54}, {0x1.00000b1721bd0p+0, -0x1.b31303b78afcbp-55},
};

/// a * b to some 100 bits (T. J. Dekker, A floating-point technique for extending the available precision, 1971).
[[nodiscard]] constexpr two_doubles multiply(two_doubles a, two_doubles b) noexcept {
  const auto split = [](double v) {
    const double t = v * 134217729.0;  // 2^27 + 1
    const double high = t - (t - v);
    return two_doubles{high, v - high};
  };
  const two_doubles x = split(a.high), y = split(b.high);
  const double product = a.high * b.high;
  const double error = ((x.high * y.high - product) + x.high * y.low + x.low * y.high) + x.low * y.low;
  const double rest = error + (a.high * b.low + a.low * b.high);
  const double sum = product + rest;
  return {sum, rest - (sum - product)};
}

/// Whether `m`, from 1 to 2, is above 2^(i / 2^scale).
[[nodiscard]] OTLPKIT_COLD inline bool above_border(double m, std::int32_t i, std::int32_t scale) noexcept {
  two_doubles border{1, 0};
  for (std::int32_t bit = 0; bit < scale; ++bit) {
    if ((i >> bit & 1) != 0) border = multiply(border, roots_of_two[scale - bit - 1]);
  }
  return m > border.high || (m == border.high && border.low < 0);
}

/// How many buckets of a scale above table_scale `m` lies above the one that begins at the border `low`.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::int32_t finer(double m, std::uint32_t low, std::int32_t scale) noexcept {
  constexpr std::uint64_t one = std::uint64_t{1023} << 52;
  const double u =
      (m - std::bit_cast<double>(one + borders[low])) * (0.5 * std::bit_cast<double>(one + borders[128 - low]));
  // The logarithm's series: u is below 0.0055, so what is left out is below 10^-8 of a bucket at scale 20.
  const double square = u * u;
  const double series = u * ((1 - 0.5 * u) + square * ((1.0 / 3 - 0.25 * u) + square * 0.2));
  // In buckets of the scale, with 32 bits after the point.
  const double unit = 1.4426950408889634 * std::bit_cast<double>(static_cast<std::uint64_t>(1023 + 32 + scale) << 52);
  const auto steps = static_cast<std::int64_t>(series * unit);
  const auto whole = static_cast<std::int32_t>(steps >> 32);
  constexpr std::uint32_t near = 1 << 16;
  const std::uint32_t part = static_cast<std::uint32_t>(steps) + near;
  if (part > 2 * near) [[likely]]
    return whole;
  const std::int32_t nearest = whole + static_cast<std::int32_t>(part < near);
  if (nearest == 0) return 0;
  if (nearest >= 1 << (scale - table_scale)) return nearest - 1;
  const std::int32_t border = (static_cast<std::int32_t>(low) << (scale - table_scale)) + nearest;
  return above_border(m, border, scale) ? nearest : nearest - 1;
}

/// The bucket of `v`, which is finite and above zero.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::int32_t index_of(double v, std::int32_t scale) noexcept {
  std::uint64_t bits = std::bit_cast<std::uint64_t>(v);
  std::int32_t exponent = -1023;
  if (bits >> 52 == 0) [[unlikely]] {
    bits = std::bit_cast<std::uint64_t>(v * 0x1p64);
    exponent -= 64;
  }
  // Of the double before `v`: a bucket begins above its lower border and ends with its upper one.
  const std::uint64_t before = bits - 1;
  exponent += static_cast<std::int32_t>(before >> 52);
  const std::uint64_t fraction = before & ((std::uint64_t{1} << 52) - 1);
  std::uint32_t low = first_border[fraction >> 44];
  low += static_cast<std::uint32_t>(fraction >= borders[low + 1]);
  const std::int32_t index = exponent * 128 + static_cast<std::int32_t>(low);
  if (scale <= table_scale) return index >> (table_scale - scale);
  const double m = std::bit_cast<double>(bits - (((before >> 52) - 1023) << 52));
  return index * (1 << (scale - table_scale)) + finer(m, low, scale);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail::exponential
