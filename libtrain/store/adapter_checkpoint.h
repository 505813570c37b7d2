// AdapterCheckpoint: the adapter that a checkpoint folder holds, of a run with adapters or of an
// import, and what its manifest says of the model that it belongs to.
#pragma once

#include <string>

#include "arch/upcycle.h"
#include "store/adapter_description.h"
#include "store/checkpoint_rows.h"

namespace moesaic {

/// Entry of an import's manifest: its AdapterDescription. A run has none: its recipe says it all.
inline constexpr const char* kAdapterEntry = "adapter";

/// What such a checkpoint's manifest says of its base.
struct AdapterBase {
  std::string path;    // where its weights were
  std::string digest;  // ModelSource::digest

  Json to_json() const { return {{"path", path}, {"digest", digest}}; }
  /// Error(kCheckpoint) when the manifest says nothing of the kind.
  static AdapterBase of(const CheckpointInfo& info);
  /// Error(kData) when the weights now at `path_there`, of this digest, are others.
  void require(const std::string& digest_there, const std::string& path_there,
               const std::string& checkpoint,
               const std::string& hint = "say with --base where the base is now") const;
};

bool holds_adapter(const CheckpointInfo& info);

class AdapterCheckpoint : public AdapterRows {
 public:
  /// By this process alone, of a checkpoint whose files are whole. Error(kCheckpoint) when it does
  /// not hold what its recipe trains or its manifest says.
  explicit AdapterCheckpoint(const CheckpointInfo& info);

  /// Of the model with the adapter; layers for multi-token prediction are those of the base.
  const arch::Options& arch() const { return arch_; }
  /// Of the base, before it fits the adapter; num_experts 0: it is as it is.
  const arch::UpcycleOptions& upcycle() const { return upcycle_; }
  std::uint64_t seed() const { return seed_; }  // of upcycling

  AdapterPair pair(const std::string& weight, std::int64_t first,
                   std::int64_t count) const override;
  at::Tensor saved(const std::string& weight, std::int64_t first,
                   std::int64_t count) const override {
    return rows_.rows(weight, first, count);
  }
  std::string digest() const override { return digest_; }
  bool names_base() const override { return true; }

 private:
  CheckpointRows rows_;
  std::string digest_;
  AdapterDescription description_;
  arch::Options arch_;
  arch::UpcycleOptions upcycle_;
  std::uint64_t seed_ = 0;
};

}  // namespace moesaic
