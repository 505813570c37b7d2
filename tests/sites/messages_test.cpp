#include "protocol/messages.h"

#include <gtest/gtest.h>

#include "sites/wire.h"
#include "support/temporary_folder.h"

namespace moesaic::sites {
namespace {

using moesaic::testing::expect_error;

constexpr std::uint64_t kMost = 1000;

// As the other side gets it.
Message sent(const Message& message) {
  wire::Note note;
  EXPECT_TRUE(note.ParseFromString(wire_of(message).SerializeAsString()));
  return message_of(note, kMost);
}

TEST(Messages, ComeOutAsTheyWentIn) {
  const Join join{.version = "1.2",
                  .weights_digest = "abc",
                  .tokenizer_digest = "def",
                  .notes = {{"examples", 12}}};
  const Join joined = Join::of(sent(join.message()));
  EXPECT_EQ(joined.protocol, kProtocol);
  EXPECT_EQ(joined.version, "1.2");
  EXPECT_EQ(joined.weights_digest, "abc");
  EXPECT_EQ(joined.tokenizer_digest, "def");
  EXPECT_EQ(joined.notes, join.notes);

  const Blob blob{std::string(64, 'a'), 99};
  const RoundOffer offer{.round = 3,
                         .model = blob,
                         .silos = {"north", "south"},
                         .deadline_s = 2.5,
                         .rules = {{"steps", 4}}};
  const RoundOffer offered = RoundOffer::of(sent(offer.message()));
  EXPECT_EQ(offered.round, 3);
  EXPECT_EQ(offered.model, blob);
  EXPECT_EQ(offered.silos, offer.silos);
  EXPECT_EQ(offered.deadline_s, 2.5);
  EXPECT_EQ(offered.rules, offer.rules);

  const Change change{.round = 4, .blob = blob, .notes = {{"loss", 0.1}}};
  const Change changed = Change::of(sent(change.message()));
  EXPECT_EQ(changed.round, 4);
  EXPECT_EQ(changed.blob, blob);
  EXPECT_EQ(changed.notes, change.notes);
}

TEST(Messages, OfAnotherFormAreRefusedByKey) {
  const auto refused = [](const Message& message, const char* part) {
    expect_error(ErrorKind::kData, part, [&] { RoundOffer::of(message); });
  };
  const Message good = RoundOffer{.round = 1, .model = {std::string(64, 'a'), 1}}.message();
  Message bad = good;
  bad.kind = "change";
  refused(bad, "a message 'change' came, not 'offer'");
  bad = good;
  bad.blob.reset();
  refused(bad, "comes without its file");
  bad = good;
  bad.body["deadline_s"] = -1;
  refused(bad, "key 'deadline_s'");
  bad = good;
  bad.body.erase("rules");
  refused(bad, "no key 'rules'");
  bad = good;
  bad.body["silos"] = {"../x"};
  refused(bad, "key 'silos'");
}

TEST(Messages, LimitsAreCheckedOnTheWayIn) {
  const auto refused = [](wire::Note note, const char* part) {
    expect_error(ErrorKind::kData, part, [&] { message_of(note, kMost); });
  };
  const wire::Note good = wire_of(Message{.kind = "note", .blob = Blob{std::string(64, 'a'), 5}});
  wire::Note bad = good;
  bad.set_kind("Note\n");
  refused(bad, "no kind of message");
  bad = good;
  bad.set_kind(std::string(33, 'a'));
  refused(bad, "no kind of message");
  bad = good;
  bad.set_round(-1);
  refused(bad, "round -1");
  bad = good;
  bad.set_body("[1]");
  refused(bad, "no object");
  bad = good;
  bad.set_body("{\"a\": \"" + std::string(kBodyBytes, 'x') + "\"}");
  refused(bad, "bytes of JSON");
  bad = good;
  bad.mutable_blob()->set_bytes(kMost + 1);
  refused(bad, "are allowed");
  bad = good;
  bad.mutable_blob()->set_digest(std::string(64, 'A'));
  refused(bad, "no SHA-256 digest");
  EXPECT_THROW(wire_of(Message{.kind = "note", .body = {{"a", std::string(kBodyBytes, 'x')}}}),
               Error);
}

// Counts of a silo's tokens, of 94 layers with 512 experts: no limit is in their way.
TEST(Messages, ABodyHoldsACountForEachExpertOfALargeModel) {
  Json layers = Json::object();
  for (int layer = 0; layer < 94; ++layer)
    layers[format("model.layers.{}.mlp", layer)] = std::vector<std::int64_t>(512, 123'456'789);
  const Message told{.kind = "change", .round = 1, .body = {{"routed_tokens", layers}}};
  EXPECT_EQ(sent(told).body, told.body);
}

TEST(Messages, ARefusalKeepsKindMessageAndHint) {
  const Error error(ErrorKind::kBudget, "the budget is spent", "ask for more");
  const auto refusal = refusal_of(status_of(error, wire::Refusal::NONE, "i"));
  ASSERT_TRUE(refusal.has_value());
  const Error got = error_of(*refusal);
  EXPECT_EQ(got.kind(), ErrorKind::kBudget);
  EXPECT_EQ(std::string(got.what()), error.what());
  EXPECT_EQ(got.hint(), error.hint());
  EXPECT_FALSE(refusal_of({grpc::StatusCode::UNAVAILABLE, "away"}).has_value());
}

TEST(Messages, ASignatureCoversWhoSaysWhatInWhichRun) {
  wire::Caller caller;
  caller.set_run("run");
  caller.set_session("s");
  const wire::Note note = wire_of(Message{.kind = "change", .round = 2});
  const std::string text = signed_text("north", caller, note);
  EXPECT_NE(text, signed_text("south", caller, note));
  wire::Caller other = caller;
  other.set_run("run2");
  EXPECT_NE(text, signed_text("north", other, note));
  wire::Note next = note;
  next.set_round(3);
  EXPECT_NE(text, signed_text("north", caller, next));
}

}  // namespace
}  // namespace moesaic::sites
