#include "core/secret_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "core/format.h"

namespace moesaic {
namespace {

std::vector<std::byte> bytes_of(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string hex_of(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

SecretKey key_of(const std::string& hex) {
  return SecretKey(std::span<const std::byte, SecretKey::kBytes>(bytes_of(hex)));
}

std::string stream_of(const SecretKey& key, std::uint64_t nonce, std::uint64_t block,
                      std::size_t size) {
  std::vector<std::byte> out(size, std::byte{0x55});
  key.stream(nonce, block, out);
  return hex_of(out);
}

// RFC 8439, appendix A.1, test vectors 1 to 5. With a nonce whose first four bytes are zero its
// state is that of the original cipher.
TEST(SecretKey, GivesThePublishedStreamOfChaCha20) {
  const std::string zeros(64, '0'), one = std::string(63, '0') + "1";
  EXPECT_EQ(stream_of(key_of(zeros), 0, 0, 64),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
  EXPECT_EQ(stream_of(key_of(zeros), 0, 1, 64),
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f");
  EXPECT_EQ(stream_of(key_of(one), 0, 1, 64),
            "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
            "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0");
  EXPECT_EQ(stream_of(key_of("00ff" + std::string(60, '0')), 0, 2, 64),
            "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
            "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096");
  EXPECT_EQ(stream_of(key_of(zeros), 2ULL << 56U, 0, 64),
            "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
            "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d");
}

TEST(SecretKey, GivesAnyPartOfTheStreamAsTheWholeHasIt) {
  const SecretKey key = SecretKey::from_seed(5);
  const std::string whole = stream_of(key, 1, 0, 64 * 100);
  for (const std::size_t block : {0U, 1U, 7U, 63U, 99U})
    EXPECT_EQ(stream_of(key, 1, block, 64), whole.substr(128 * block, 128)) << block;
  EXPECT_EQ(stream_of(key, 1, 3, 1000), whole.substr(128 * 3, 2000));
  EXPECT_EQ(stream_of(key, 1, 3, 0), "");
  // Across the place where a counter of 32 bits would begin anew.
  const std::uint64_t far = 1ULL << 32U;
  EXPECT_EQ(stream_of(key, 1, far - 1, 128),
            stream_of(key, 1, far - 1, 64) + stream_of(key, 1, far, 64));
  EXPECT_NE(stream_of(key, 1, far, 64), whole.substr(0, 128));
}

// BLAKE2b of RFC 7693 with a key; made by Python's hashlib.blake2b(label, key=..., digest_size=32).
TEST(SecretKey, DerivesByKeyedBlake2b) {
  std::string key;
  for (int i = 0; i < 32; ++i) key += format("{:02x}", i);
  EXPECT_EQ(hex_of(key_of(key).derived("label").bytes()),
            "7f8088eb65cc4626d4a3ca026af9f97dbd1b8a39b7ac12a63a07745f1fa09847");
  EXPECT_EQ(hex_of(SecretKey::from_seed(7).bytes()),
            "acf9bb149d15061f83c799e679c7917955226ca0ac44ae05155e4a89c67b399d");
}

TEST(SecretKey, ComesNewFromTheSystemEachTime) {
  const SecretKey a = SecretKey::from_system(), b = SecretKey::from_system();
  EXPECT_NE(hex_of(a.bytes()), hex_of(b.bytes()));
  EXPECT_NE(hex_of(a.bytes()), std::string(64, '0'));
  const SecretKey copy(a);
  EXPECT_EQ(hex_of(copy.bytes()), hex_of(a.bytes()));
}

TEST(SecretKey, IsWipedWhenItGoesAway) {
  alignas(SecretKey) std::array<std::byte, sizeof(SecretKey)> memory{};
  const std::string wanted = hex_of(SecretKey::from_seed(1).bytes());
  auto* key = new (memory.data()) SecretKey(SecretKey::from_seed(1));
  EXPECT_EQ(hex_of(memory), wanted);
  key->~SecretKey();
  EXPECT_TRUE(std::all_of(memory.begin(), memory.end(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
}

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};
static_assert(Printable<int> && !Printable<SecretKey> && !fmt::is_formattable<SecretKey>::value);

}  // namespace
}  // namespace moesaic
