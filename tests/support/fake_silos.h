// The silos of a small federation in the coordinator's own process, in place of the network: what
// is ordered is done at once, and the messages wait until the coordinator asks for the next.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/fs.h"
#include "core/secure_digest.h"
#include "engine/coordinator.h"
#include "engine/site_words.h"
#include "support/fake_silo.h"
#include "support/small_federation.h"

namespace moesaic::test {

class FakeSilos : public SilosDoor {
 public:
  struct Sent {
    std::string silo;
    sites::Message message;
    std::string file;
  };
  /// What becomes of a silo's change on its way: nothing, itself, several.
  using Fault = std::function<std::vector<Sent>(const Sent&)>;

  FakeSilos(const Recipe& recipe, const RankContext& context, std::string folder)
      : folder_(std::move(folder)) {
    make_folder(folder_);
    for (std::size_t i = 0; i < recipe.federated->silos.size(); ++i) {
      silos_.push_back(std::make_unique<FakeSilo>(recipe, i, context));
      sent_.push_back({silos_[i]->name(), sites::Join{.version = "1"}.message(), ""});
    }
  }

  std::map<std::string, Fault> faults;  // by silo
  int dies_after = -1;                  // so many messages the coordinator takes, -1 = all
  std::map<std::string, std::vector<std::string>> refused;  // by silo, what it was told
  std::size_t threshold = 2;                                // of secure sums
  std::map<std::string, Json> said_ready;                   // in place of what is true
  std::map<std::string, Json> said_in_sum;                  // the same of "key", "sealed", "opened"

  std::optional<SiloRequest> next(double /*wait_s*/) override {
    if (dies_after-- == 0) throw std::runtime_error("killed");
    if (sent_.empty()) return std::nullopt;
    const Sent sent = sent_.front();
    sent_.pop_front();
    return SiloRequest{
        sent.silo, sent.message, sent.file, [this, sent](const sites::Message&) { answered(sent); },
        [this, sent](const Error& error) { refused[sent.silo].push_back(error.what()); }};
  }
  void order(const std::string& silo, const sites::Message& order) override {
    if (order.kind.starts_with("secure_")) {
      Sent part{silo, find(silo).in_sum(order, threshold), ""};
      for (auto& [key, value] : part.message.body.items())
        if (said_in_sum.contains(silo)) value = said_in_sum[silo].value(key, value);
      sent_.push_back(part);
    } else if (order.kind == words::kPrepare) {
      Sent ready{silo, find(silo).ready(), ""};
      if (said_ready.contains(silo)) ready.message.body.update(said_ready[silo]);
      sent_.push_back(ready);
    } else if (order.kind == sites::kOfferKind) {
      train(silo, sites::RoundOffer::of(order));
    } else if (order.kind == sites::kGoodbyeKind && joined_.contains(silo)) {
      sent_.push_back({silo, {.kind = std::string(sites::kGoodbyeKind)}, ""});
    }
  }
  sites::Blob publish(const std::string& path) override {
    const std::string bytes = read_file(path);
    const sites::Blob blob{secure_digest_of(bytes), bytes.size()};
    published_[blob.digest] = path;
    return blob;
  }
  void withdraw(const sites::Blob& blob) override { published_.erase(blob.digest); }
  std::vector<sites::SiloState> silos() const override {
    std::vector<sites::SiloState> states;
    for (const std::string& silo : joined_) states.push_back({.silo = silo});
    return states;
  }

 private:
  FakeSilo& find(const std::string& name) {
    return **std::find_if(silos_.begin(), silos_.end(),
                          [&](const auto& silo) { return silo->name() == name; });
  }
  void answered(const Sent& sent) {
    if (sent.message.kind == sites::kJoinKind) joined_.insert(sent.silo);
    if (sent.message.kind == sites::kGoodbyeKind) joined_.erase(sent.silo);
  }
  // A file for each sending: the coordinator moves it away.
  void train(const std::string& silo, const sites::RoundOffer& offer) {
    const std::string path = format("{}/{}-{}.safetensors", folder_, silo, ++files_);
    Sent sent{silo, find(silo).train(offer, published_.at(offer.model.digest), path), path};
    if (offer.rules.contains("label")) {
      find(silo).mask(offer, path, sent.message.body["notes"]);
      sent.message.body["notes"]["label"] = offer.rules.at("label");
      sent.message.blob = sites::blob_of(path);
    }
    const auto fault = faults.find(silo);
    const std::vector<Sent> all =
        fault == faults.end() ? std::vector<Sent>{sent} : fault->second(sent);
    sent_.insert(sent_.end(), all.begin(), all.end());
  }

  std::string folder_;
  std::vector<std::unique_ptr<FakeSilo>> silos_;
  std::deque<Sent> sent_;
  std::set<std::string> joined_;
  std::map<std::string, std::string> published_;
  int files_ = 0;
};

}  // namespace moesaic::test
