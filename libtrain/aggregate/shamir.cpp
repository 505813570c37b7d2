#include "aggregate/shamir.h"

#include <algorithm>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;
constexpr std::size_t kParts = 5, kPartBytes = 7;  // the last part has 4

__extension__ using Wide = unsigned __int128;

std::uint64_t field_sum(std::uint64_t a, std::uint64_t b) { return (a + b) % kPrime; }
std::uint64_t field_product(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint64_t>(Wide{a} * b % kPrime);
}

// a^(p - 2): Fermat.
std::uint64_t field_inverse(std::uint64_t a) {
  std::uint64_t result = 1;
  for (std::uint64_t power = kPrime - 2; power > 0; power >>= 1) {
    if ((power & 1) != 0) result = field_product(result, a);
    a = field_product(a, a);
  }
  return result;
}

std::uint64_t part_of(const SecretKey& secret, std::size_t part) {
  std::uint64_t value = 0;
  const std::size_t first = part * kPartBytes;
  for (std::size_t i = 0; i < kPartBytes && first + i < SecretKey::kBytes; ++i)
    value |= std::to_integer<std::uint64_t>(secret.bytes()[first + i]) << (8 * i);
  return value;
}

// Uniform in the field: 61 bits, drawn again where they are the prime itself.
class FieldDraws {
 public:
  explicit FieldDraws(const SecretKey& random) : random_(random) {}
  std::uint64_t next() {
    for (;;) {
      std::array<std::byte, 8> bytes{};
      random_.stream(0, block_++, bytes);
      std::uint64_t value = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i)
        value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
      value &= kPrime;
      if (value < kPrime) return value;
    }
  }

 private:
  const SecretKey& random_;
  std::uint64_t block_ = 0;
};

void require_shares(std::span<const Share> shares) {
  for (std::size_t i = 0; i < shares.size(); ++i) {
    bool good = shares[i].x > 0 && shares[i].x < kPrime;
    for (const std::uint64_t y : shares[i].y) good = good && y < kPrime;
    for (std::size_t j = 0; j < i; ++j) good = good && shares[j].x != shares[i].x;
    MOESAIC_CHECK(good, ErrorKind::kData, "share {} of a secret is damaged or comes twice",
                  shares[i].x);
  }
}

// Of share i in the value at 0 (Lagrange): the product of x_j / (x_j - x_i).
std::uint64_t factor_at_zero(std::span<const Share> shares, std::size_t i) {
  std::uint64_t above = 1, below = 1;
  for (std::size_t j = 0; j < shares.size(); ++j) {
    if (j == i) continue;
    above = field_product(above, shares[j].x);
    below = field_product(below, field_sum(shares[j].x, kPrime - shares[i].x));
  }
  return field_product(above, field_inverse(below));
}

}  // namespace

std::vector<Share> shares_of(const SecretKey& secret, std::size_t count, std::size_t threshold,
                             const SecretKey& random) {
  MOESAIC_CHECK(threshold >= 1 && threshold <= count, ErrorKind::kRecipe,
                "{} shares of a secret with threshold {}", count, threshold);
  std::vector<Share> shares(count);
  for (std::size_t i = 0; i < count; ++i) shares[i].x = i + 1;
  FieldDraws draws(random);
  for (std::size_t part = 0; part < kParts; ++part) {
    std::vector<std::uint64_t> coefficients = {part_of(secret, part)};
    while (coefficients.size() < threshold) coefficients.push_back(draws.next());
    for (Share& share : shares) {
      for (std::size_t k = threshold; k-- > 0;)  // Horner
        share.y[part] = field_sum(field_product(share.y[part], share.x), coefficients[k]);
    }
  }
  return shares;
}

SecretKey secret_of(std::span<const Share> shares, std::size_t threshold) {
  MOESAIC_CHECK(threshold >= 1 && shares.size() >= threshold, ErrorKind::kData,
                "{} shares of a secret; {} are needed", shares.size(), threshold);
  shares = shares.first(threshold);
  require_shares(shares);
  std::array<std::byte, SecretKey::kBytes> bytes{};
  for (std::size_t part = 0; part < kParts; ++part) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < shares.size(); ++i)
      value = field_sum(value, field_product(shares[i].y[part], factor_at_zero(shares, i)));
    const std::size_t first = part * kPartBytes;
    const std::size_t length = std::min(kPartBytes, SecretKey::kBytes - first);
    MOESAIC_CHECK(value >> (8 * length) == 0, ErrorKind::kData,
                  "shares that are not of one secret");
    for (std::size_t i = 0; i < length; ++i)
      bytes[first + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
  }
  return SecretKey{std::span<const std::byte, SecretKey::kBytes>(bytes)};
}

}  // namespace moesaic::aggregate
