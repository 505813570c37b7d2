#include "protocol/json_form.h"

#include <gtest/gtest.h>

#include "core/json_text.h"
#include "protocol/line_socket.h"
#include "support/temporary_folder.h"

namespace moesaic::sites {
namespace {

using moesaic::testing::expect_error;

// As it comes out of the socket.
Json through(const Json& json) { return object_from(json_text(json), "a line"); }

TEST(JsonFormTest, AMessageComesBackAsItWas) {
  const Message message{.kind = "change",
                        .round = 7,
                        .body = {{"loss", 0.1}, {"text", "two\nlines"}},
                        .blob = Blob{std::string(64, 'a'), std::uint64_t{1} << 63}};
  const Message back = message_from(through(json_of(message)));
  EXPECT_EQ(back.kind, "change");
  EXPECT_EQ(back.round, 7);
  EXPECT_EQ(back.body, message.body);
  EXPECT_EQ(back.blob, message.blob);
  EXPECT_FALSE(message_from(through(json_of(Message{.kind = "ok"}))).blob.has_value());
  // One line, whatever the message holds.
  EXPECT_EQ(json_text(json_of(message)).find('\n'), std::string::npos);
}

TEST(JsonFormTest, OptionsAndStatesComeBackAsTheyWere) {
  const ListenOptions listen{.listen = "127.0.0.1:0",
                             .keys = "keys",
                             .run = "run",
                             .inbox = "inbox",
                             .most_blob_bytes = 12,
                             .heartbeat_s = 0.1,
                             .stall_s = 0.2};
  EXPECT_EQ(json_of(listen_options_from(through(json_of(listen)))), json_of(listen));
  const ConnectOptions connect{
      .connect = "host:1", .keys = "keys", .heartbeat_s = 1, .stall_s = 2, .deadline_s = 3};
  const ConnectOptions back = connect_options_from(through(json_of(connect)));
  EXPECT_EQ(back.connect, "host:1");
  EXPECT_EQ(back.most_blob_bytes, connect.most_blob_bytes);
  EXPECT_EQ(back.deadline_s, 3);
  const SiloState state =
      state_from(through(json_of(SiloState{.silo = "north", .silent_s = 1.5, .bytes_out = 9})));
  EXPECT_EQ(state.silo, "north");
  EXPECT_EQ(state.silent_s, 1.5);
  EXPECT_EQ(state.bytes_out, 9U);
}

TEST(JsonFormTest, ErrorsKeepKindMessageAndHint) {
  const Error back =
      error_from(through(json_of(Error(ErrorKind::kBudget, "all is spent", "ask for more"))));
  EXPECT_EQ(back.kind(), ErrorKind::kBudget);
  EXPECT_STREQ(back.what(), "all is spent");
  EXPECT_EQ(back.hint(), "ask for more");
  EXPECT_EQ(error_from(through(json_of(std::bad_alloc()))).kind(), ErrorKind::kInternal);
}

TEST(JsonFormTest, OtherFormsAreErrorsThatNameTheKey) {
  const auto refused = [](const char* part, const std::string& line) {
    expect_error(ErrorKind::kCommunication, part,
                 [&] { message_from(object_from(line, "a line")); });
  };
  refused("'kind'", R"({"round": 1, "body": {}})");
  refused("'kind'", R"({"kind": 1, "round": 1, "body": {}})");
  refused("'round'", R"({"kind": "a", "round": 1.5, "body": {}})");
  refused("'round'", R"({"kind": "a", "round": 18446744073709551615, "body": {}})");
  refused("'body'", R"({"kind": "a", "round": 1})");
  refused("'bytes'",
          R"({"kind": "a", "round": 1, "body": {}, "blob": {"digest": "", "bytes": -1}})");
  refused("a line", "[1, 2]");
  refused("a line", "{\"kind\": ");
  refused("a line", "");
  refused("a line", std::string(100, '[') + std::string(100, ']'));
  refused("a line", std::string(kLineBytes + 1, ' '));
}

}  // namespace
}  // namespace moesaic::sites
