#include "engine/site_doors.h"

#include <utility>

#include "core/error.h"
#include "protocol/json_form.h"

namespace moesaic {
namespace {

class ListeningDoor : public SilosDoor {
 public:
  ListeningDoor(const sites::ListenOptions& options, std::unique_ptr<SiteLink> link)
      : link_(std::move(link)) {
    const Json first = link_->call({{"do", "listen"}, {"options", sites::json_of(options)}});
    port_ = static_cast<int>(sites::number_of(first, "port"));
  }

  std::optional<SiloRequest> next(double wait_s) override {
    const Json got = link_->call({{"do", "next"}, {"wait_s", wait_s}});
    if (got.is_null()) return std::nullopt;
    const std::uint64_t number = ++taken_;
    const auto settle = [this, number](const Json& how) {
      MOESAIC_ASSERT(number == taken_);
      link_->call(how);
    };
    return SiloRequest{sites::text_of(got, "silo"),
                       sites::message_from(sites::member_of(got, "message")),
                       sites::text_of(got, "file"),
                       [settle](const sites::Message& reply) {
                         settle({{"do", "answer"}, {"message", sites::json_of(reply)}});
                       },
                       [settle](const Error& error) {
                         settle({{"do", "refuse"}, {"error", sites::json_of(error)}});
                       }};
  }
  void order(const std::string& silo, const sites::Message& order) override {
    link_->call({{"do", "order"}, {"silo", silo}, {"message", sites::json_of(order)}});
  }
  sites::Blob publish(const std::string& path) override {
    return sites::blob_from(link_->call({{"do", "publish"}, {"path", path}}));
  }
  void withdraw(const sites::Blob& blob) override {
    link_->call({{"do", "withdraw"}, {"blob", sites::json_of(blob)}});
  }
  std::vector<sites::SiloState> silos() const override {
    std::vector<sites::SiloState> states;
    const Json list = link_->call(Json{{"do", "silos"}});
    for (const Json& state : list) states.push_back(sites::state_from(state));
    return states;
  }
  int port() const override { return port_; }

 private:
  std::unique_ptr<SiteLink> link_;
  std::uint64_t taken_ = 0;  // requests
  int port_ = 0;
};

class ConnectedDoor : public CoordinatorDoor {
 public:
  ConnectedDoor(const sites::ConnectOptions& options, std::unique_ptr<SiteLink> link)
      : alive_(options.alive), link_(std::move(link)) {
    silo_ = sites::text_of(call({{"do", "connect"}, {"options", sites::json_of(options)}}), "silo");
  }

  const std::string& silo() const override { return silo_; }
  sites::Message join(const sites::Join& join) override {
    return sites::message_from(call({{"do", "join"}, {"message", sites::json_of(join.message())}}));
  }
  std::optional<sites::Message> wait(double seconds) override {
    const Json order = call({{"do", "wait"}, {"wait_s", seconds}});
    if (order.is_null()) return std::nullopt;
    return sites::message_from(order);
  }
  sites::Message send(const sites::Message& message, const std::string& file) override {
    return sites::message_from(
        call({{"do", "send"}, {"message", sites::json_of(message)}, {"file", file}}));
  }
  void fetch(const sites::Blob& blob, const std::string& path) override {
    call({{"do", "fetch"}, {"blob", sites::json_of(blob)}, {"path", path}});
  }

 private:
  Json call(const Json& request) { return link_->call(request, alive_); }

  std::function<void()> alive_;
  std::unique_ptr<SiteLink> link_;
  std::string silo_;
};

}  // namespace

std::unique_ptr<SilosDoor> listen_for_silos(const sites::ListenOptions& options,
                                            std::unique_ptr<SiteLink> link) {
  return std::make_unique<ListeningDoor>(options, std::move(link));
}

std::unique_ptr<CoordinatorDoor> connect_to_coordinator(const sites::ConnectOptions& options,
                                                        std::unique_ptr<SiteLink> link) {
  return std::make_unique<ConnectedDoor>(options, std::move(link));
}

}  // namespace moesaic
