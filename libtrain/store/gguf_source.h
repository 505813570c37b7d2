// The weights of a GGUF file, under the names and with the shapes that they have here; quantised
// ones come out as float32, or in the blocks of the file.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/gguf_header.h"
#include "core/fs.h"
#include "store/model_source.h"

namespace moesaic {

class GgufSource : public ModelSource {
 public:
  /// Collective over world.
  static std::unique_ptr<GgufSource> open(const RankContext& context, const std::string& path);
  /// By this process alone. Error(kCheckpoint) for a damaged file, and for weights that are not
  /// those of its metadata.
  explicit GgufSource(const std::string& path);

  Json tokenizer() const override { return nullptr; }  // origin() has its file
  std::map<std::string, const GgufTensorType*> blocks() const override;
  HubOrigin origin(const RankContext& context) const override;
  std::string digest_here(const std::function<void()>& alive) const override;
  void read(const std::string& name, std::int64_t first, const at::Tensor& into) const override;

 protected:
  void read_blocks(const std::string& name, std::int64_t first,
                   const at::Tensor& into) const override;
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  /// A parameter's tensor, or in older files one for each of its experts. Files of the architecture
  /// llama hold the rows of q and k in the order of interleaved rotary pairs; `head_dim` is then
  /// the width of a head, else 0.
  struct Part {
    std::vector<const GgufTensor*> tensors;
    std::int64_t head_dim = 0;
  };
  GgufSource(const std::string& path, MappedFile&& file);
  GgufSource(const std::string& path, MappedFile&& file, GgufHeader&& header);
  void find_parts();
  struct Row {
    const std::uint8_t* bytes;
    std::int64_t size;
    const GgufTensorType* type;
  };
  /// Row number `row` of a parameter, which has `width` values, in the order that rows have here.
  Row row_of(const Part& part, std::int64_t row, std::int64_t width) const;
  /// What was read of it need not stay in memory.
  void release(const Part& part) const;
  void add_tokenizer(const RankContext& context, HubOrigin& origin) const;

  MappedFile file_;
  GgufHeader header_;
  std::map<std::string, Part> parts_;
};

}  // namespace moesaic
