#include "engine/site_doors.h"

#include <utility>

namespace moesaic {
namespace {

class ListeningDoor : public SilosDoor {
 public:
  explicit ListeningDoor(const sites::CoordinatorServer::Options& options) : server_(options) {}

  std::optional<SiloRequest> next(double wait_s) override {
    std::optional<sites::Request> got = server_.next(wait_s);
    if (!got) return std::nullopt;
    const auto request = std::make_shared<sites::Request>(std::move(*got));
    return SiloRequest{request->silo(), request->message(), request->file(),
                       [request](const sites::Message& reply) { request->answer(reply); },
                       [request](const Error& error) { request->refuse(error); }};
  }
  void order(const std::string& silo, const sites::Message& order) override {
    server_.order(silo, order);
  }
  sites::Blob publish(const std::string& path) override { return server_.publish(path); }
  void withdraw(const sites::Blob& blob) override { server_.withdraw(blob); }
  std::vector<sites::SiloState> silos() const override { return server_.silos(); }

 private:
  sites::CoordinatorServer server_;
};

// How often its heart beats, and for how long a coordinator may be away, the coordinator says: what
// it says in its welcome holds for a second client, which joins in place of the first.
class ConnectedDoor : public CoordinatorDoor {
 public:
  explicit ConnectedDoor(const sites::SiloClient::Options& options)
      : options_(options), client_(std::make_unique<sites::SiloClient>(options)) {}

  const std::string& silo() const override { return client_->silo(); }
  sites::Message join(const sites::Join& join) override {
    const sites::Message welcome = client_->join(join);
    if (!take_times(welcome.body)) return welcome;
    client_.reset();
    client_ = std::make_unique<sites::SiloClient>(options_);
    return client_->join(join);
  }
  std::optional<sites::Message> wait(double seconds) override { return client_->wait(seconds); }
  sites::Message send(const sites::Message& message, const std::string& file) override {
    return client_->send(message, file);
  }
  void fetch(const sites::Blob& blob, const std::string& path) override {
    client_->fetch(blob, path);
  }

 private:
  // Whether some time differs from what the client was made with.
  bool take_times(const Json& body) {
    bool changed = false;
    const auto take = [&](const char* key, double& seconds) {
      const Json value = body.is_object() ? body.value(key, Json()) : Json();
      if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() == seconds)
        return;
      seconds = value.get<double>();
      changed = true;
    };
    take("heartbeat_s", options_.heartbeat_s);
    take("stall_s", options_.stall_s);
    take("deadline_s", options_.deadline_s);
    return changed;
  }

  sites::SiloClient::Options options_;
  std::unique_ptr<sites::SiloClient> client_;
};

}  // namespace

std::unique_ptr<SilosDoor> listen_for_silos(const sites::CoordinatorServer::Options& options) {
  return std::make_unique<ListeningDoor>(options);
}

std::unique_ptr<CoordinatorDoor> connect_to_coordinator(const sites::SiloClient::Options& options) {
  return std::make_unique<ConnectedDoor>(options);
}

}  // namespace moesaic
