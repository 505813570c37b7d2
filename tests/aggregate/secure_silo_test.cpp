#include "aggregate/secure_silo.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

/// Silos of one sum with what the coordinator passes between them.
struct Sum {
  SumFormat format{.bits = 32, .clip = 1.0, .levels = 1000};
  std::map<std::string, SecureSilo> silos;
  RoundKeys keys;
  std::set<std::string> names;
  std::map<std::string, std::map<std::string, std::string>> sealed;  // by receiver, by sender
  std::size_t threshold;

  Sum(std::size_t count, std::size_t needed) : threshold(needed) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      names.insert(name);
      silos.emplace(name, SecureSilo(name, "run 1"));
      keys[name] = silos.at(name).public_key();
    }
    for (auto& [name, silo] : silos)
      for (const auto& [peer, text] : silo.seal(keys, threshold)) sealed[peer][name] = text;
  }
  std::vector<std::uint64_t> masked(const std::string& name, double value) const {
    std::vector<std::uint64_t> words = quantised(format, std::vector<double>(3, value));
    silos.at(name).mask(format, names, 7, words);
    return words;
  }
  /// The sum of what the silos that stayed have sent.
  std::vector<double> found(const std::set<std::string>& stayed) {
    std::set<std::string> dropped;
    for (const std::string& name : names)
      if (!stayed.contains(name)) dropped.insert(name);
    SecureCollector collector("run 1", keys, threshold);
    std::vector<std::uint64_t> sum(3, 0);
    for (const std::string& name : stayed) add_in_ring(format, masked(name, 0.25), sum);
    for (const std::string& name : stayed)
      collector.take(silos.at(name).open(sealed.at(name), stayed, dropped));
    collector.unmask(format, stayed, dropped, 7, sum);
    return dequantised(format, sum);
  }
};

TEST(SecureSilo, GivesThePlainSumWithAndWithoutDropouts) {
  EXPECT_EQ(Sum(4, 2).found({"a", "b", "c", "d"}), std::vector<double>(3, 1.0));
  EXPECT_EQ(Sum(4, 2).found({"a", "c", "d"}), std::vector<double>(3, 0.75));
  EXPECT_EQ(Sum(4, 2).found({"b", "d"}), std::vector<double>(3, 0.5));
}

TEST(SecureSilo, OpensNothingBelowTheThresholdNorBothSecretsOfASilo) {
  Sum sum(4, 3);
  SecureSilo& a = sum.silos.at("a");
  EXPECT_THROW(a.open(sum.sealed.at("a"), {"a", "b"}, {"c", "d"}), Error);
  EXPECT_THROW(a.open(sum.sealed.at("a"), {"a", "b", "c"}, {"c", "d"}), Error);
  EXPECT_THROW(a.open(sum.sealed.at("a"), {"b", "c", "d"}, {"a"}), Error);
  EXPECT_NO_THROW(a.open(sum.sealed.at("a"), {"a", "b", "c"}, {"d"}));
  EXPECT_THROW(a.open(sum.sealed.at("a"), {"a", "b", "d"}, {"c"}), Error);  // a second time
}

TEST(SecureSilo, NoticesAShareThatWasChangedOrIsOfAnother) {
  Sum sum(3, 2);
  SecureSilo& a = sum.silos.at("a");
  auto sealed = sum.sealed.at("a");
  std::string& text = sealed.at("b");
  text[0] = text[0] == '0' ? '1' : '0';
  EXPECT_THROW(a.open(sealed, sum.names, {}), Error);
  sealed.at("b") = sum.sealed.at("c").at("b");  // sealed for c
  EXPECT_THROW(a.open(sealed, sum.names, {}), Error);
  sealed.at("b") = "no text of that length";
  EXPECT_THROW(a.open(sealed, sum.names, {}), Error);
  EXPECT_NO_THROW(a.open(sum.sealed.at("a"), sum.names, {}));
}

TEST(SecureSilo, GivesItsSharesOnceAndUnderItsOwnKey) {
  Sum sum(3, 2);
  EXPECT_THROW(sum.silos.at("a").seal(sum.keys, 2), Error);
  SecureSilo other("a", "run 2");
  EXPECT_THROW(other.seal(sum.keys, 2), Error);  // another one's key under its name
  RoundKeys one = {{"a", other.public_key()}};
  EXPECT_THROW(other.seal(one, 2), Error);
}

TEST(SecureCollector, RefusesWhatIsNoShares) {
  Sum sum(3, 2);
  SecureCollector collector("run 1", sum.keys, 2);
  EXPECT_THROW(collector.take(Json::array()), Error);
  EXPECT_THROW(collector.take({{"seeds", {{"a", {1, 2}}}}, {"keys", Json::object()}}), Error);
  EXPECT_THROW(collector.take({{"seeds", {{"x", {1, 2, 3, 4, 5, 6}}}}, {"keys", Json::object()}}),
               Error);
  std::vector<std::uint64_t> values(3, 0);
  EXPECT_THROW(collector.unmask(sum.format, {"a"}, {}, 7, values), Error);
}

TEST(PublicKeyText, ReadsBack) {
  const PublicKey key = SecureSilo("a", "run").public_key();
  EXPECT_EQ(public_key_from(text_of(key)), key);
  EXPECT_THROW(public_key_from("12"), Error);
  EXPECT_THROW(public_key_from(std::string(64, 'g')), Error);
  EXPECT_THROW(public_key_from(std::string(64, '0')), Error);  // of small order
}

TEST(SealedShares, HaveOneForm) {
  const std::string text = Sum(3, 2).sealed.at("a").at("b");
  EXPECT_NO_THROW(require_sealed(text));
  EXPECT_THROW(require_sealed(text + "00"), Error);
  EXPECT_THROW(require_sealed(text.substr(2)), Error);
  EXPECT_THROW(require_sealed(std::string(text.size(), 'g')), Error);
}

}  // namespace
}  // namespace moesaic::aggregate
