// The two ways out: HTTP and a file.
#include "monitor/run_monitor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::expect_error;

int port_of(const RunMonitor& monitor) {
  return std::atoi(monitor.place().substr(monitor.place().rfind(':') + 1).c_str());
}

int connect_to(int port) {
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return connection;
}

// The whole answer to "GET /metrics".
std::string get_metrics(int port) {
  const int connection = connect_to(port);
  const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
  EXPECT_EQ(::send(connection, request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(connection, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(got));
  ::close(connection);
  return answer;
}

class RunMonitorTest : public ::testing::Test {
 protected:
  RunFacts facts() const { return {.job = "run", .run_dir = folder.path(), .host = "localhost"}; }
  std::string textfile() const { return folder.path() + "/metrics.prom"; }

  testing::TemporaryFolder folder;
};

TEST_F(RunMonitorTest, AnswersAtAFreePort) {
  RunMonitor monitor(facts(), 0);
  EXPECT_GT(port_of(monitor), 0);
  const std::string answer = get_metrics(port_of(monitor));
  EXPECT_NE(answer.find("200 OK"), std::string::npos) << answer;
  EXPECT_NE(answer.find("moesaic_running{job=\"run\"} 1"), std::string::npos) << answer;
}

TEST_F(RunMonitorTest, AnswersBesideConnectionsOnWhichNobodyAsks) {
  const RunMonitor monitor(facts(), 0);
  std::vector<int> idle;
  for (int i = 0; i < 4; ++i) idle.push_back(connect_to(port_of(monitor)));
  EXPECT_NE(get_metrics(port_of(monitor)).find("200 OK"), std::string::npos);
  for (const int connection : idle) ::close(connection);
}

TEST_F(RunMonitorTest, SaysThatAPortIsInUse) {
  const RunMonitor first(facts(), 0);
  expect_error(ErrorKind::kUsage, format("cannot listen on port {}", port_of(first)),
               [&] { RunMonitor(facts(), port_of(first)); });
}

TEST_F(RunMonitorTest, WritesAFileThatSaysHowTheJobEnded) {
  {
    RunMonitor monitor(facts(), textfile());
    EXPECT_EQ(monitor.place(), textfile());
    folder.file("metrics.jsonl", "{\"step\":1,\"loss\":6}\n");
    monitor.finished(3);
  }
  const std::string text = read_file(textfile());
  EXPECT_NE(text.find("moesaic_loss{job=\"run\"} 6\n"), std::string::npos) << text;
  EXPECT_NE(text.find("moesaic_exit_code{job=\"run\"} 3\n"), std::string::npos) << text;
}

TEST_F(RunMonitorTest, WritesNothingIntoAFolderThatTheRunHasNotBegunIn) {
  folder.file("metrics.jsonl", "{\"step\":1,\"loss\":6}\n");
  { const RunMonitor monitor(facts(), textfile()); }
  EXPECT_FALSE(std::filesystem::exists(textfile()));
}

TEST_F(RunMonitorTest, GoesOnWhereTheFileCannotBeWritten) {
  std::filesystem::create_directory(textfile());
  ::testing::internal::CaptureStderr();
  {
    RunMonitor monitor(facts(), textfile());
    folder.file("metrics.jsonl", "{\"step\":1,\"loss\":6}\n");
    monitor.finished(0);
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("metrics.prom"), std::string::npos) << said;
  EXPECT_NE(said.find("the run goes on"), std::string::npos) << said;
}

}  // namespace
}  // namespace moesaic
