#include "sites/calls.h"

#include "identity/signature.h"
#include "sites/wire.h"

namespace moesaic::sites {

Calls::Calls(const SiloClient::Options& options, const identity::Keys& keys)
    : options_(options), keys_(keys), connection_(options, keys) {}

wire::Letter Calls::letter(const wire::Caller& caller, const wire::Note& note) const {
  wire::Letter letter;
  *letter.mutable_caller() = caller;
  *letter.mutable_note() = note;
  letter.set_signature(identity::sign(keys_, signed_text(keys_.name, caller, note)));
  return letter;
}

grpc::Status Calls::say_once(grpc::ClientContext& context, const wire::Letter& letter,
                             wire::Answer& answer) {
  context.set_deadline(Connection::after(options_.stall_s));
  return connection_.await(context, [&](const Connection::Done& done) {
    connection_.stub().async()->Say(&context, &letter, &answer, done);
  });
}

wire::Note Calls::join(const wire::Note& join) {
  const std::lock_guard lock(joining_);
  join_ = join;
  member_.begin(new_name());
  return say_join();
}

wire::Note Calls::say_join() {
  wire::Answer answer;
  connection_.call(
      [&](grpc::ClientContext& context) {
        return say_once(context, letter(member_.caller(), join_), answer);
      },
      [](const wire::Refusal&) { return false; });
  member_.joined(answer.run(), answer.instance());
  return answer.note();
}

void Calls::join_again(const std::string& instance) {
  const std::lock_guard lock(joining_);
  if (member_.instance() != instance) say_join();  // else the heartbeat did
}

void Calls::call(const Attempt& attempt, const Connection::Remedy& remedy) {
  std::string instance;  // of the coordinator, as the last attempt knew it
  connection_.call(
      [&](grpc::ClientContext& context) {
        instance = member_.instance();
        return attempt(context, member_.caller());
      },
      [&](const wire::Refusal& refusal) {
        if (refusal.advice() != wire::Refusal::JOIN_AGAIN) return remedy ? remedy(refusal) : false;
        if (refusal.instance() == instance) return false;  // another process took our place
        join_again(refusal.instance());
        return true;
      });
}

wire::Note Calls::say(const wire::Note& note, const Connection::Remedy& remedy) {
  wire::Answer answer;
  call([&](grpc::ClientContext& context,
           const wire::Caller& caller) { return say_once(context, letter(caller, note), answer); },
       remedy);
  return answer.note();
}

void Calls::beat(Heartbeat& heart) {
  const std::string instance = member_.instance();
  wire::Heartbeat beat;
  *beat.mutable_caller() = member_.caller();
  beat.set_progress(member_.progress());
  wire::Pulse pulse;
  const grpc::Status status = heart.call([&](grpc::ClientContext& context) {
    context.set_deadline(Connection::after(options_.heartbeat_s));
    return connection_.stub().Beat(&context, beat, &pulse);
  });
  if (status.ok()) return member_.newest(pulse.instance(), pulse.number());
  const auto refusal = refusal_of(status);
  if (!refusal || refusal->advice() != wire::Refusal::JOIN_AGAIN) return;
  const std::unique_lock lock(joining_, std::try_to_lock);
  if (!lock.owns_lock() || refusal->instance() == instance) return;
  wire::Answer answer;
  const grpc::Status joined = heart.call([&](grpc::ClientContext& context) {
    context.set_deadline(Connection::after(options_.stall_s));
    return connection_.stub().Say(&context, letter(member_.caller(), join_), &answer);
  });
  if (joined.ok()) member_.joined(answer.run(), answer.instance());
}

}  // namespace moesaic::sites
