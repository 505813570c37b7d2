// Who may not call, and what may not be said.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <wire.grpc.pb.h>

#include <filesystem>

#include "identity/signature.h"
#include "sites/handshake.h"
#include "sites/site_fixture.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

using identity::Keys;
using identity::read_keys;
using moesaic::testing::expect_error;

// Whether the two sides come together; the reason when one said it.
bool is_let_in(int port, const Keys& keys, const std::string& host = "127.0.0.1") {
  try {
    return try_handshake(host + ":" + std::to_string(port), keys) == Handshake::kFine;
  } catch (const Error&) {
    return false;
  }
}

TEST_F(SiteTest, OnlySilosOfThisAuthorityAreLetIn) {
  const auto coordinator = this->coordinator();
  const int port = coordinator->server().port();
  make("foreign");
  const Keys north = read_keys(at("keys/north"));
  EXPECT_TRUE(is_let_in(port, north));
  Keys none = north;
  none.certificate.clear();
  EXPECT_FALSE(is_let_in(port, none));
  Keys foreign = read_keys(at("foreign/north"));
  foreign.authority = north.authority;  // it trusts us, we do not trust it
  EXPECT_FALSE(is_let_in(port, foreign));
  EXPECT_FALSE(is_let_in(port, read_keys(at("keys/coordinator"))));  // not made for clients
  EXPECT_EQ(coordinator->count("join"), 0);
}

TEST_F(SiteTest, ASiloTellsWhyItDoesNotTrustACoordinator) {
  const auto coordinator = this->coordinator();
  const std::string port = ":" + std::to_string(coordinator->server().port());
  make("foreign");
  auto options = silo_options(coordinator->server().port());
  options.keys = at("foreign/north");
  SiloClient foreign(options);
  expect_error(ErrorKind::kCommunication, "its certificate is not accepted",
               [&] { foreign.join({}); });
  options.keys = at("keys/north");
  options.connect = "localhost" + port;
  SiloClient elsewhere(options);
  expect_error(ErrorKind::kCommunication, "hostname mismatch", [&] { elsewhere.join({}); });
  options.connect = "nonsense";
  expect_error(ErrorKind::kUsage, "no address: HOST:PORT", [&] { SiloClient nowhere(options); });
  EXPECT_EQ(try_handshake("127.0.0.1:1", read_keys(at("keys/north"))), Handshake::kNobody);
}

TEST_F(SiteTest, KeysOfTheWrongSideAndThosePastTheirTimeAreRefused) {
  auto options = server_options();
  options.keys = at("keys/north");
  expect_error(ErrorKind::kData, "those of silo 'north'", [&] { CoordinatorServer one(options); });
  auto silo = silo_options(1);
  silo.keys = at("keys/coordinator");
  expect_error(ErrorKind::kData, "the coordinator's", [&] { SiloClient one(silo); });
  make("old", 0);
  options.keys = at("old/coordinator");
  expect_error(ErrorKind::kData, "past its time", [&] { CoordinatorServer one(options); });
}

TEST_F(SiteTest, ARevokedSiloIsRefusedAtItsNextCall) {
  const auto coordinator = this->coordinator();
  SiloClient north(silo_options(coordinator->server().port(), "north"));
  SiloClient south(silo_options(coordinator->server().port(), "south"));
  north.join({});
  south.join({});
  identity::revoke(at("keys"), "north");
  expect_error(ErrorKind::kCommunication, "certificate of silo 'north' is revoked",
               [&] { north.send({.kind = "note"}); });
  SiloClient again(silo_options(coordinator->server().port(), "north"));
  expect_error(ErrorKind::kCommunication, "is revoked", [&] { again.join({}); });
  EXPECT_EQ(south.send({.kind = "note"}).kind, "note");
}

// A silo that speaks the protocol by hand.
class ByHand : public SiteTest {
 protected:
  void SetUp() override {
    SiteTest::SetUp();
    coordinator_ = coordinator();
    keys_ = read_keys(at("keys/north"));
    grpc::SslCredentialsOptions ssl{keys_.authority, keys_.private_key, keys_.certificate};
    stub_ = wire::Federation::NewStub(grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(coordinator_->server().port()), grpc::SslCredentials(ssl)));
    caller_.set_protocol(kProtocol);
    caller_.set_run("run-1");
    caller_.set_session("s");
  }
  wire::Letter letter(const Message& message) const {
    wire::Letter letter;
    *letter.mutable_caller() = caller_;
    *letter.mutable_note() = wire_of(message);
    letter.set_signature(identity::sign(keys_, signed_text("north", caller_, letter.note())));
    return letter;
  }
  grpc::Status say(const wire::Letter& letter) {
    grpc::ClientContext context;
    wire::Answer answer;
    return stub_->Say(&context, letter, &answer);
  }
  static std::string reason(const grpc::Status& status) {
    const auto refusal = refusal_of(status);
    return refusal ? refusal->message() : "no refusal: " + status.error_message();
  }
  void expect_refused(const grpc::Status& status, const std::string& part) {
    EXPECT_NE(reason(status).find(part), std::string::npos) << reason(status);
  }
  grpc::Status upload(const Blob& blob, const std::vector<wire::Chunk>& chunks) {
    grpc::ClientContext context;
    wire::UploadState state;
    const auto writer = stub_->Upload(&context, &state);
    bool first = true;
    for (wire::Chunk chunk : chunks) {
      if (first) {
        *chunk.mutable_start()->mutable_caller() = caller_;
        *chunk.mutable_start()->mutable_blob() = wire_of(blob);
      }
      first = false;
      if (!writer->Write(chunk)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
  static wire::Chunk chunk(std::uint64_t offset, const std::string& data) {
    wire::Chunk chunk;
    chunk.set_offset(offset);
    chunk.set_data(data);
    return chunk;
  }

  std::unique_ptr<TestCoordinator> coordinator_;
  Keys keys_;
  std::unique_ptr<wire::Federation::Stub> stub_;
  wire::Caller caller_;
};

TEST_F(ByHand, NobodySpeaksBeforeJoining) {
  expect_refused(say(letter({.kind = "note"})), "has not joined");
  EXPECT_TRUE(say(letter(Join{}.message())).ok());
  EXPECT_TRUE(say(letter({.kind = "note"})).ok());
  caller_.set_session("other");
  expect_refused(say(letter({.kind = "note"})), "has not joined");
  EXPECT_EQ(coordinator_->count("note"), 1);
}

TEST_F(ByHand, AWrongSignatureRunOrProtocolIsRefused) {
  ASSERT_TRUE(say(letter(Join{}.message())).ok());
  wire::Letter forged = letter({.kind = "note", .round = 1});
  forged.mutable_note()->set_round(2);
  expect_refused(say(forged), "has a wrong signature");
  forged.clear_signature();
  expect_refused(say(forged), "has a wrong signature");
  wire::Letter of_another = letter({.kind = "note"});
  of_another.set_signature(identity::sign(read_keys(at("keys/south")),
                                          signed_text("north", caller_, of_another.note())));
  expect_refused(say(of_another), "has a wrong signature");
  caller_.set_run("run-2");
  expect_refused(say(letter({.kind = "note"})), "was in the run 'run-2'");
  caller_.set_run("run-1");
  caller_.set_protocol(kProtocol + 1);
  expect_refused(say(letter(Join{}.message())), "different versions");
  EXPECT_EQ(coordinator_->count("note"), 0);
}

TEST_F(ByHand, AReplayedMessageIsNotCountedAgain) {
  ASSERT_TRUE(say(letter(Join{}.message())).ok());
  const wire::Letter note = letter({.kind = "note", .round = 1});
  EXPECT_TRUE(say(note).ok());
  EXPECT_TRUE(say(note).ok());
  caller_.set_session("next");
  ASSERT_TRUE(say(letter(Join{}.message())).ok());
  expect_refused(say(note), "has not joined");  // of the session before
  EXPECT_EQ(coordinator_->count("note"), 1);
}

TEST_F(ByHand, PiecesOutOfOrderOrTooLargeAreRefused) {
  const Blob blob{std::string(64, 'a'), 8};
  expect_refused(upload(blob, {chunk(0, "1234")}), "has not joined");
  ASSERT_TRUE(say(letter(Join{}.message())).ok());
  expect_refused(upload(blob, {chunk(4, "5678")}), "out of order");
  expect_refused(upload(blob, {chunk(0, "12"), chunk(1, "2")}), "out of order");
  expect_refused(upload(blob, {chunk(2, "3456789")}), "a piece of 7 bytes");
  expect_refused(upload({std::string(64, 'a'), kMost + 1}, {chunk(0, "1")}), "are allowed");
  expect_refused(upload({"../../x", 8}, {chunk(0, "1")}), "no SHA-256 digest");
  expect_refused(upload(blob, {chunk(2, "345678")}), "another digest");
  const grpc::Status huge =
      upload({std::string(64, 'b'), kMost}, {chunk(0, std::string(4U << 20, 'x'))});
  EXPECT_FALSE(huge.ok());
  EXPECT_EQ(coordinator_->server().silos()[0].bytes_in, 2U);  // the one piece that was due
  expect_refused(say(letter({.kind = "change", .blob = blob})), "is not here");
  EXPECT_EQ(coordinator_->count("change"), 0);
}

}  // namespace
}  // namespace moesaic::sites
