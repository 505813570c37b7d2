// SharedFile: the values of all parameters that silos share, whole, in one file of safetensors: the
// model of a round on its way to the silos, with the base where that moves, or a silo's change on
// its way back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "aggregate/aggregator.h"
#include "aggregate/compression.h"
#include "core/fs.h"
#include "federated/round_model.h"
#include "parallel/rank_context.h"
#include "store/safetensors.h"

namespace moesaic {

/// What is written: by place in RoundModel::shared(), this rank's part of the values, and after
/// them of a model those of RoundModel::base(); or, where `packed` is not empty, the bytes of each
/// parameter whole, as compression made them.
struct SharedValues {
  std::vector<at::Tensor> tensors;
  std::vector<std::vector<std::uint8_t>> packed = {};
};

/// Writes the file, which appears when it is whole. `server`: vectors of the server that silos need
/// ("control/<parameter>"). Collective over `slot`; the chief writes.
void write_shared_file(const std::string& path, const RankContext& slot,
                       const ParameterSet& parameters, const RoundModel& model,
                       const SharedValues& values, const aggregate::ServerState& server = {},
                       Sync sync = Sync::kNow);

/// The vectors of the server that silos need.
aggregate::ServerState controls_of(const aggregate::ServerState& server);

class SharedFile {
 public:
  struct Options {
    std::string path;
    std::string who;  // whose it is, in messages: "silo a: its change"
    aggregate::Compression way = {};
    /// Words of 32 bits for each value, of a secure sum, which only packed() gives; 0 = values.
    std::size_t words = 0;
    bool is_model = false;  // of a round, with its base; else a change
  };

  /// Error(kData) where the file is none, or has not the shared parameters of `model` (and its
  /// base), of their global shapes and types, and nothing else but a model's controls. Both must
  /// outlive it. Local.
  SharedFile(const Options& options, const ParameterSet& parameters, const RoundModel& model);

  /// Fills `into`, contiguous and on the host, with values from number `first` on, counted over the
  /// whole parameter at `place`; converted to its type. Local.
  void read(std::size_t place, std::int64_t first, const at::Tensor& into) const;

  /// The words of a parameter, of a secure sum. Local.
  std::string_view packed(std::size_t place) const { return file_.bytes(tensor_of(place)); }

  /// Error(kData) naming the first parameter with a value that is not finite. Reads all. Local.
  void require_finite() const;

  /// Of a model: makes the parts of this rank the model of a round. Local.
  void give_to(const RoundModel& model) const;
  /// The controls in it.
  aggregate::ServerState controls() const;

 private:
  const SafetensorsTensor& tensor_of(std::size_t place) const;
  void check(const SafetensorsTensor& tensor, const Parameter& parameter) const;
  [[noreturn]] void fail(const std::string& what) const;
  const at::Tensor& unpacked(std::size_t place) const;

  Options options_;
  const ParameterSet& parameters_;
  const RoundModel& model_;
  SafetensorsFile file_;
  std::vector<std::size_t> number_of_;  // in the header, by place
  mutable at::Tensor unpacked_;         // the parameter that was read last, where it was packed
  mutable std::size_t unpacked_place_ = 0;
};

}  // namespace moesaic
