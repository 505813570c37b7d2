// The service of wire.proto: checks who calls and what comes, and hands it to sessions, requests
// and inbox. gRPC calls it from many threads.
#pragma once

#include <wire.grpc.pb.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "identity/peer_check.h"
#include "sites/inbox.h"
#include "sites/requests.h"
#include "sites/sessions.h"

namespace moesaic::sites {

/// The files that silos may fetch.
class Shelf {
 public:
  void add(const std::string& path, const Blob& blob);
  void remove(const Blob& blob);
  /// Error(kData) when there is none.
  std::string path_of(const Blob& blob) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> paths_;  // by digest
};

class Service final : public wire::Federation::Service {
 public:
  struct Options {
    std::uint64_t most_blob_bytes = 0;
    double stall_s = 60.0;
  };
  /// All of these outlive it.
  Service(const Options& options, const identity::PeerCheck& peers, Sessions& sessions,
          Requests& requests, Inbox& inbox, const Shelf& shelf);

  grpc::Status Say(grpc::ServerContext* context, const wire::Letter* letter,
                   wire::Answer* answer) override;
  grpc::Status Wait(grpc::ServerContext* context, const wire::Look* look,
                    wire::Order* order) override;
  grpc::Status Beat(grpc::ServerContext* context, const wire::Heartbeat* beat,
                    wire::Pulse* pulse) override;
  grpc::Status Lacks(grpc::ServerContext* context, const wire::UploadStart* start,
                     wire::UploadState* state) override;
  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<wire::Chunk>* reader,
                      wire::UploadState* state) override;
  grpc::Status Fetch(grpc::ServerContext* context, const wire::FetchStart* start,
                     grpc::ServerWriter<wire::Chunk>* writer) override;

  /// Ends what waits.
  void stop() { stopped_ = true; }

 private:
  // The silo that calls. Throws when it may not, or has not joined.
  identity::Peer member(const grpc::ServerContext& context, const wire::Caller& caller);
  // What `work` throws as a status.
  template <class Work>
  grpc::Status guarded(const Work& work);

  Answer ask(const grpc::ServerContext& context, const wire::Letter& letter);
  std::string take_file(const std::string& silo, const Message& message);
  Message wait_for(const Answer& answer, const grpc::ServerContext& context) const;

  Options options_;
  const identity::PeerCheck& peers_;
  Sessions& sessions_;
  Requests& requests_;
  Inbox& inbox_;
  const Shelf& shelf_;
  std::mutex asking_;  // one message at a time into the queue
  std::atomic<bool> stopped_ = false;
};

}  // namespace moesaic::sites
