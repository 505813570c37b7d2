// Both ends of the socket between a job and moesaic-site, here in threads of one process, with the
// network and keys of a real federation.
#include "engine/site_doors.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <thread>

#include "core/json_text.h"
#include "core/path.h"
#include "sites/job_end.h"
#include "sites/site_fixture.h"
#include "support/socket_pair.h"

namespace moesaic {
namespace {

using moesaic::testing::expect_error;
using moesaic::testing::socket_pair;

/// A thread in the place of the program that speaks to the network.
class OtherEnd {
 public:
  using Serve = std::function<void(sites::LineSocket&)>;

  explicit OtherEnd(Serve serve = sites::serve_job) {
    const auto [here, there] = socket_pair();
    socket_ = here;
    thread_ = std::thread([serve = std::move(serve), end = there] {
      sites::LineSocket job(end, "the job");
      try {
        serve(job);
      } catch (const Error& error) {  // but for the job's end, which serve_job() knows
        EXPECT_STREQ(error.what(), "the job is gone");
      }
    });
  }
  ~OtherEnd() { thread_.join(); }

  /// Once.
  std::unique_ptr<SiteLink> link() const { return std::make_unique<SiteLink>(socket_); }

 private:
  int socket_ = -1;
  std::thread thread_;
};

/// An end that answers each request with the next of these lines, and closes after them.
OtherEnd::Serve saying(std::vector<std::string> lines) {
  return [lines = std::move(lines)](sites::LineSocket& job) {
    for (const std::string& line : lines) {
      if (!job.read(10)) return;
      job.write(line);
    }
    job.read(10);
  };
}

class SiteDoorsTest : public sites::SiteTest {
 protected:
  static int free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket, plain, size), 0);
    EXPECT_EQ(::getsockname(socket, plain, &size), 0);
    ::close(socket);
    return ntohs(address.sin_port);
  }
};

TEST_F(SiteDoorsTest, MessagesFilesAndErrorsGoThroughBothSockets) {
  const OtherEnd coordinator_end, silo_end;
  const int port = free_port();
  sites::ListenOptions listen = server_options();
  listen.listen = "127.0.0.1:" + std::to_string(port);
  const auto silos = listen_for_silos(listen, coordinator_end.link());
  const std::string model = content(100'000), change = content(70'000);
  const sites::Blob offered = silos->publish(folder_.file("model", model));
  silos->order("north", {.kind = "offer", .round = 3, .body = {{"rules", 1}}, .blob = offered});

  std::thread silo([&] {
    const auto door = connect_to_coordinator(silo_options(port), silo_end.link());
    EXPECT_EQ(door->silo(), "north");
    EXPECT_EQ(door->join({.version = "1"}).body, Json({{"stall_s", 5.0}}));
    const auto order = door->wait(5);
    EXPECT_EQ(order->round, 3);
    door->fetch(*order->blob, at("fetched"));
    const std::string file = folder_.file("change", change);
    const sites::Change sent{.round = 3, .blob = sites::blob_of(file), .notes = {{"loss", 0.5}}};
    EXPECT_EQ(door->send(sent.message(), file).kind, "ok");
    expect_error(ErrorKind::kBudget, "no more",
                 [&] { door->send({.kind = "change_again", .round = 3}, ""); });
    door->send({.kind = std::string(sites::kGoodbyeKind)}, "");
  });
  std::vector<std::string> kinds;
  for (int i = 0; i < 500 && (kinds.empty() || kinds.back() != sites::kGoodbyeKind); ++i) {
    const std::optional<SiloRequest> request = silos->next(0.05);
    if (!request) continue;
    EXPECT_EQ(request->silo, "north");
    kinds.push_back(request->message.kind);
    if (kinds.back() == sites::kChangeKind) {
      EXPECT_EQ(read_file(request->file), change);
      EXPECT_EQ(silos->silos().at(0).silo, "north");
    }
    if (kinds.back() == "change_again") {
      request->refuse(Error(ErrorKind::kBudget, "no more"));
    } else if (kinds.back() == sites::kJoinKind) {
      request->answer({.kind = "welcome", .body = {{"stall_s", 5.0}}});
    } else {
      request->answer({.kind = "ok"});
    }
  }
  silo.join();
  EXPECT_EQ(kinds, (std::vector<std::string>{"join", "change", "change_again", "goodbye"}));
  EXPECT_EQ(read_file(at("fetched")), model);
  EXPECT_TRUE(silos->silos().empty());
  silos->withdraw(offered);
}

TEST_F(SiteDoorsTest, TheTimesOfAWelcomeHoldFromThenOn) {
  const OtherEnd coordinator_end, silo_end;
  const int port = free_port();
  sites::ListenOptions listen = server_options();
  listen.listen = "127.0.0.1:" + std::to_string(port);
  const auto silos = listen_for_silos(listen, coordinator_end.link());
  std::thread silo([&] {
    const auto door = connect_to_coordinator(silo_options(port), silo_end.link());
    door->join({.version = "1"});
    door->send({.kind = std::string(sites::kGoodbyeKind)}, "");
  });
  int joins = 0;
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    const std::optional<SiloRequest> request = silos->next(0.05);
    if (!request) continue;
    gone = request->message.kind == sites::kGoodbyeKind;
    joins += request->message.kind == sites::kJoinKind ? 1 : 0;
    request->answer({.kind = "welcome", .body = {{"heartbeat_s", 0.3}}});
  }
  silo.join();
  EXPECT_TRUE(gone);
  EXPECT_EQ(joins, 2);  // the second client has them
}

TEST_F(SiteDoorsTest, WhatCannotBeUsedIsToldWhereTheDoorIsMade) {
  const OtherEnd one, other;
  sites::ConnectOptions options = silo_options(1);
  options.keys = at("keys/coordinator");
  expect_error(ErrorKind::kData, "are the coordinator's, not a silo's",
               [&] { connect_to_coordinator(options, one.link()); });
  sites::ListenOptions listen = server_options();
  const int port = free_port();
  listen.listen = "127.0.0.1:" + std::to_string(port);
  const sites::CoordinatorServer there(listen);
  expect_error(ErrorKind::kUsage, "cannot listen on",
               [&] { listen_for_silos(listen, other.link()); });
}

TEST_F(SiteDoorsTest, AJobThatEndsCutsACallShort) {
  struct Stopped {};
  const OtherEnd end;
  sites::ConnectOptions options = silo_options(free_port());
  options.deadline_s = 600;  // nobody listens there
  int looks = 0;
  options.alive = [&looks] {
    if (++looks > 1) throw Stopped();
  };
  const auto door = connect_to_coordinator(options, end.link());
  EXPECT_THROW(door->join({.version = "1"}), Stopped);
  expect_error(ErrorKind::kCommunication, "in the middle of a call", [&] { door->wait(0); });
}  // the thread of the other end is joined: it has ended, long before its deadline

TEST(SiteLinkTest, AnEndThatIsGoneIsAnError) {
  const OtherEnd end([](sites::LineSocket& job) { job.read(10); });
  const auto link = end.link();
  expect_error(ErrorKind::kCommunication, "the program that speaks to the network has ended", [&] {
    link->call(Json{{"do", "silos"}});
  });
  expect_error(ErrorKind::kCommunication, "", [&] { link->call(Json{{"do", "silos"}}); });
}

TEST(SiteLinkTest, LinesThatAreNoAnswerAreErrors) {
  for (const char* line : {"", "[]", "{\"result\"", "{\"other\": 1}", "{\"error\": 7}",
                           "{\"error\": {\"kind\": 6}}"}) {
    const OtherEnd end(saying({line}));
    const auto link = end.link();
    expect_error(ErrorKind::kCommunication, "", [&] { link->call(Json{{"do", "silos"}}); });
  }
}

TEST(SiteLinkTest, WhatIsTooLongForALineIsRefusedAndTheNextCallGoesThrough) {
  const OtherEnd end(saying({"{\"result\": 5}"}));
  const auto link = end.link();
  const Json large = {{"do", std::string(sites::kLineBytes, 'x')}};
  expect_error(ErrorKind::kData, "at most", [&] { link->call(large); });
  EXPECT_EQ(link->call(Json{{"do", "silos"}}), 5);
}

TEST(JobEndTest, LinesThatAreNoRequestsAreRefused) {
  const auto refusal = [](const std::string& line) {
    const auto [here, there] = socket_pair();
    std::thread end([socket = there] {
      sites::LineSocket job(socket, "the job");
      sites::serve_job(job);
    });
    Json answer;
    {
      sites::LineSocket job(here, "the end");
      job.write(line);
      answer = Json::parse(job.read(10).value());
    }
    end.join();
    return answer.at("error").at("message").get<std::string>();
  };
  EXPECT_NE(refusal(R"({"do": "next", "wait_s": 0})").find("'options'"), std::string::npos);
  EXPECT_NE(refusal(R"({"do": "dance", "options": {}})").find("'dance'"), std::string::npos);
  EXPECT_NE(refusal(R"({"options": {}})").find("'do'"), std::string::npos);
  EXPECT_NE(refusal(R"({"do": "connect", "options": {}})").find("'connect'"), std::string::npos);
}

TEST(JobEndTest, ALineThatIsNoObjectEndsIt) {
  const auto [here, there] = socket_pair();
  sites::LineSocket mine(here, "the end"), job(there, "the job");
  mine.write("no JSON");
  expect_error(ErrorKind::kCommunication, "a request of the job", [&] { sites::serve_job(job); });
}

}  // namespace
}  // namespace moesaic
