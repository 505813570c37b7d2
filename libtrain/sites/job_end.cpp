#include "sites/job_end.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/json_text.h"
#include "protocol/json_form.h"
#include "sites/client.h"
#include "sites/server.h"

namespace moesaic::sites {
namespace {

constexpr double kLongWait = 3600;    // seconds, begun again and again
constexpr double kLongestTime = 1e9;  // seconds that a recipe can say

/// The job has ended while something was done for it.
struct JobIsGone {};

/// What is asked of one end of the wire.
class Desk {
 public:
  virtual ~Desk() = default;
  virtual Json take(const std::string& what, const Json& request) = 0;
};

[[noreturn]] void refuse_unknown(const std::string& what) {
  throw Error(ErrorKind::kCommunication,
              format("the job asks for '{}', which is not known here", printable(what, 40)),
              "moesaic-worker and moesaic-site must be of one build");
}

class CoordinatorDesk : public Desk {
 public:
  explicit CoordinatorDesk(const Json& options) : server_(listen_options_from(options)) {}

  Json first() const { return {{"port", server_.port()}}; }

  Json take(const std::string& what, const Json& request) override {
    if (what == "next") return next(number_of(request, "wait_s"));
    if (what == "silos") return states();
    if (what == "publish") return json_of(server_.publish(text_of(request, "path")));
    if (what == "answer") {
      under_way().answer(message_from(member_of(request, "message")));
      request_.reset();
    } else if (what == "refuse") {
      under_way().refuse(error_from(member_of(request, "error")));
      request_.reset();
    } else if (what == "order") {
      server_.order(text_of(request, "silo"), message_from(member_of(request, "message")));
    } else if (what == "withdraw") {
      server_.withdraw(blob_from(member_of(request, "blob")));
    } else {
      refuse_unknown(what);
    }
    return nullptr;
  }

 private:
  Json next(double wait_s) {
    request_.reset();  // let go of: the silo says it again
    request_ = server_.next(wait_s);
    if (!request_) return nullptr;
    return {{"silo", request_->silo()},
            {"message", json_of(request_->message())},
            {"file", request_->file()}};
  }
  Json states() const {
    Json list = Json::array();
    for (const SiloState& state : server_.silos()) list.push_back(json_of(state));
    return list;
  }
  Request& under_way() {
    MOESAIC_CHECK(request_.has_value(), ErrorKind::kCommunication,
                  "the job answers a message that it did not take");
    return *request_;
  }

  CoordinatorServer server_;
  std::optional<Request> request_;  // before the server ends
};

// How often its heart beats, and for how long a coordinator may be away, the coordinator says: what
// it says in its welcome holds for a second client, which joins in place of the first.
class SiloDesk : public Desk {
 public:
  SiloDesk(const Json& options, std::function<void()> alive)
      : options_(connect_options_from(options)) {
    options_.alive = std::move(alive);
    client_ = std::make_unique<SiloClient>(options_);
  }

  Json first() const { return {{"silo", client_->silo()}}; }

  Json take(const std::string& what, const Json& request) override {
    if (what == "join") return json_of(join(Join::of(message_from(member_of(request, "message")))));
    if (what == "wait") {
      const std::optional<Message> order = client_->wait(number_of(request, "wait_s"));
      return order ? json_of(*order) : Json(nullptr);
    }
    if (what == "send")
      return json_of(
          client_->send(message_from(member_of(request, "message")), text_of(request, "file")));
    if (what != "fetch") refuse_unknown(what);
    client_->fetch(blob_from(member_of(request, "blob")), text_of(request, "path"));
    return nullptr;
  }

 private:
  Message join(const Join& join) {
    const Message welcome = client_->join(join);
    if (!take_times(welcome.body)) return welcome;
    client_.reset();
    client_ = std::make_unique<SiloClient>(options_);
    return client_->join(join);
  }
  // Whether some time differs from what the client was made with.
  bool take_times(const Json& body) {
    bool changed = false;
    const auto take = [&](const char* key, double& seconds) {
      const Json value = body.is_object() ? body.value(key, Json()) : Json();
      const double said = value.is_number() ? value.get<double>() : 0;
      if (!(said > 0 && said <= kLongestTime) || said == seconds) return;
      seconds = said;
      changed = true;
    };
    take("heartbeat_s", options_.heartbeat_s);
    take("stall_s", options_.stall_s);
    take("deadline_s", options_.deadline_s);
    return changed;
  }

  ConnectOptions options_;
  std::unique_ptr<SiloClient> client_;
};

/// The first request makes the desk that the others are for.
Json take_at(std::unique_ptr<Desk>& desk, const Json& request, const LineSocket& job) {
  const std::string what = text_of(request, "do");
  if (desk) return desk->take(what, request);
  const Json& options = member_of(request, "options");
  if (what == "listen") {
    auto coordinator = std::make_unique<CoordinatorDesk>(options);
    Json first = coordinator->first();
    desk = std::move(coordinator);
    return first;
  }
  if (what != "connect") refuse_unknown(what);
  auto silo = std::make_unique<SiloDesk>(options, [&job] {
    if (job.is_gone()) throw JobIsGone();
  });
  Json first = silo->first();
  desk = std::move(silo);
  return first;
}

Json answer_to(std::unique_ptr<Desk>& desk, const std::string& line, const LineSocket& job) {
  const Json request = object_from(line, "a request of the job");
  try {
    return {{"result", take_at(desk, request, job)}};
  } catch (const std::exception& error) {
    return {{"error", json_of(error)}};
  }
}

}  // namespace

void serve_job(LineSocket& job) {
  std::unique_ptr<Desk> desk;
  try {
    while (!job.is_gone()) {
      const std::optional<std::string> line = job.read(kLongWait);
      if (line) job.write(json_text(answer_to(desk, *line, job)));
    }
  } catch (const JobIsGone&) {
  } catch (const Error&) {
    if (!job.is_gone()) throw;
  }
}

}  // namespace moesaic::sites
