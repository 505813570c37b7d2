// The doors between sites: what a coordinator does with its silos, and a silo with its coordinator.
// Beyond them is the network, to which a program of its own speaks (SiteLink), or in a test the
// other side in the same process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/site_link.h"
#include "protocol/messages.h"
#include "protocol/site_options.h"

namespace moesaic {

/// One message of a silo, to be answered or refused once, before the next one is taken.
struct SiloRequest {
  std::string silo;  // the name in its certificate
  sites::Message message;
  std::string file;  // where its file lies, "" without one; moved away to keep it
  std::function<void(const sites::Message&)> answer;
  std::function<void(const Error&)> refuse;
};

/// See sites::CoordinatorServer.
class SilosDoor {
 public:
  virtual ~SilosDoor() = default;
  virtual std::optional<SiloRequest> next(double wait_s) = 0;
  virtual void order(const std::string& silo, const sites::Message& order) = 0;
  virtual sites::Blob publish(const std::string& path) = 0;
  virtual void withdraw(const sites::Blob& blob) = 0;
  virtual std::vector<sites::SiloState> silos() const = 0;
  virtual int port() const { return 0; }  // that it listens at; 0: at none
};

/// See sites::SiloClient.
class CoordinatorDoor {
 public:
  virtual ~CoordinatorDoor() = default;
  virtual const std::string& silo() const = 0;
  virtual sites::Message join(const sites::Join& join) = 0;
  virtual std::optional<sites::Message> wait(double seconds) = 0;
  virtual sites::Message send(const sites::Message& message, const std::string& file) = 0;
  virtual void fetch(const sites::Blob& blob, const std::string& path) = 0;
};

/// Listens once it returns. Paths are as this process sees them.
std::unique_ptr<SilosDoor> listen_for_silos(const sites::ListenOptions& options,
                                            std::unique_ptr<SiteLink> link = SiteLink::start());
std::unique_ptr<CoordinatorDoor> connect_to_coordinator(
    const sites::ConnectOptions& options, std::unique_ptr<SiteLink> link = SiteLink::start());

}  // namespace moesaic
