// Coordinator: the steps of a round of which only the sum is seen. Silos give keys, then sealed
// shares of their secrets to each other, then masked changes; at last those that stayed open what
// takes the masks from the sum.
#include <algorithm>

#include "config/silos.h"
#include "core/error.h"
#include "engine/coordinator.h"
#include "engine/site_words.h"

namespace moesaic {
namespace {

std::vector<std::string> names_of(const std::map<std::string, std::string>& answered) {
  std::vector<std::string> names;
  for (const auto& [silo, digest] : answered) names.push_back(silo);
  return names;
}

std::set<std::string> as_set(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

Json at_key(const Json& body, const char* key) {
  return body.is_object() ? body.value(key, Json()) : Json();
}

}  // namespace

bool Coordinator::agree_on_keys(std::vector<std::string>& asked, std::size_t needed, double ends_at,
                                StopSignal& stop) {
  const std::int64_t round = model_.state().round + 1;
  const std::size_t threshold = threshold_of(recipe_);
  const std::int64_t tries = std::ssize(journal_.find("try", round)) + 1;
  secure_ = SecureTry{.label = format("{} round {} try {}", journal_.run(), round, tries),
                      .threshold = threshold};
  journal_.append({{"event", "try"}, {"round", round}, {"label", secure_->label}});
  const auto phase = [&](const std::string& kind, const Json& body) {
    const sites::Message order{.kind = kind, .round = round, .body = body};
    if (!ask({round, asked, needed, ends_at}, {kind, [order](const auto&) { return order; }}, stop))
      return false;
    if (poll_->status(members_, now()) == SiloPoll::Status::kFailed) fail_round();
    asked = names_of(poll_->answered());
    return true;
  };
  if (!phase(words::kSecureKeys, {{"label", secure_->label}})) return false;
  Json keys = Json::object();
  for (const auto& [silo, key] : secure_->keys) keys[silo] = aggregate::text_of(key);
  if (!phase(words::kSecureShares, {{"label", secure_->label}, {"keys", keys}})) return false;
  summed_ = asked;
  return true;
}

Json Coordinator::secure_rules(const std::string& silo) const {
  if (!secure_) return Json::object();
  const auto sealed = secure_->sealed.find(silo);
  Json texts = Json::object();
  if (sealed != secure_->sealed.end())
    for (const auto& [sender, text] : sealed->second) texts[sender] = text;
  return {{"label", secure_->label}, {"sealed", texts}};
}

// The polls that follow ask those alone whose changes came: the rest has dropped out.
bool Coordinator::open_shares(StopSignal& stop) {
  const SiloPoll round = *poll_;
  const std::vector<std::string> stayed = names_of(round.answered());
  std::vector<std::string> dropped;
  for (const std::string& silo : round.options().asked)
    if (!round.answered().contains(silo)) dropped.push_back(silo);
  secure_->collector.emplace(secure_->label, secure_->keys, secure_->threshold);
  const sites::Message order{
      .kind = words::kSecureOpen,
      .round = round.options().round,
      .body = {{"label", secure_->label}, {"stayed", stayed}, {"dropped", dropped}}};
  const double ends_at = now() + recipe_.federated->stall_s;
  if (!ask({order.round, stayed, secure_->threshold, ends_at},
           {order.kind, [order](const auto&) { return order; }}, stop))
    return false;
  if (poll_->status(members_, now()) == SiloPoll::Status::kFailed) fail_round();
  poll_ = round;
  return true;
}

void Coordinator::take_secure(const SiloRequest& request) {
  const std::string& silo = request.silo;
  const sites::Message& message = request.message;
  const bool is_open = secure_ && poll_ && question_.kind == message.kind &&
                       at_key(message.body, "label") == secure_->label;
  MOESAIC_CHECK(is_open, ErrorKind::kData, "silo {}: a message {} for a sum that is not open", silo,
                message.kind);
  const std::string digest = message.body.dump();
  if (!poll_->is_new(silo, message.round, digest)) return;
  try {
    keep_for_sum(silo, message);
  } catch (const Error& error) {
    poll_->give_up(silo, "sent what cannot be used");
    throw Error(error.kind(), format("silo {}: {}", silo, error.what()));
  }
  poll_->count(silo, digest);
}

// All of what a silo says is looked at before any of it is passed on.
void Coordinator::keep_for_sum(const std::string& silo, const sites::Message& message) {
  if (message.kind == words::kSecureKeys) {
    const Json key = at_key(message.body, "key");
    MOESAIC_CHECK(key.is_string(), ErrorKind::kData, "no key");
    secure_->keys[silo] = aggregate::public_key_from(key.get<std::string>());
  } else if (message.kind == words::kSecureShares) {
    const Json sealed = at_key(message.body, "sealed");
    MOESAIC_CHECK(sealed.is_object() && sealed.size() + 1 == secure_->keys.size(), ErrorKind::kData,
                  "no shares for each other silo of the sum");
    for (const auto& [peer, text] : sealed.items()) {
      MOESAIC_CHECK(text.is_string() && peer != silo && secure_->keys.contains(peer),
                    ErrorKind::kData, "a share for nobody of the sum");
      aggregate::require_sealed(text.get<std::string>());
    }
    for (const auto& [peer, text] : sealed.items())
      secure_->sealed[peer][silo] = text.get<std::string>();
  } else {
    secure_->collector->take(at_key(message.body, "opened"));
  }
}

void Coordinator::next_model(const std::vector<ArrivedChange>& changes) {
  if (!secure_) return model_.next(changes, refused_in(model_.state().round + 1).size());
  const SecureTry done = std::move(*secure_);
  secure_.reset();
  std::vector<std::string> stayed;
  for (const ArrivedChange& change : changes) stayed.push_back(change.told.report.silo);
  std::set<std::string> dropped;
  for (const std::string& silo : summed_)
    if (std::find(stayed.begin(), stayed.end(), silo) == stayed.end()) dropped.insert(silo);
  const aggregate::SumFormat format = format_of_sum(recipe_, summed_.size());
  const auto unmask = [&, silos = as_set(stayed)](std::uint64_t nonce, std::uint64_t first,
                                                  std::span<std::uint64_t> sum) {
    done.collector->unmask(format, silos, dropped, nonce, sum, first);
  };
  model_.next_of_sum(changes, summed_.size(), unmask);
}

}  // namespace moesaic
