#include <ATen/ops/bincount.h>
#include <ATen/ops/cumsum.h>

#include "moe/dispatcher.h"
#include "moe/permute.h"

namespace moesaic {
namespace {

class LocalDispatcher : public TokenDispatcher {
 public:
  explicit LocalDispatcher(std::int64_t num_experts) : num_experts_(num_experts) {}

  Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                      const at::Tensor& weight_TK, const at::Tensor& selected_TK) const override {
    const Grouping grouping = Grouping::make(selected_TK);
    const at::Tensor weight_N = weight_TK.flatten();
    Dispatched out;
    out.rows_RD = scatter_to_groups(x_TD, grouping);
    out.weight_R = reorder(weight_N, grouping.order_N, grouping.inverse_N);
    out.example_R = context.batch.example_id_T.index_select(0, grouping.token_N);
    const at::Tensor count_E = at::bincount(selected_TK.flatten(), {}, num_experts_).cpu();
    out.offsets = {0};
    for (std::int64_t e = 0; e < num_experts_; ++e) {
      out.offsets.push_back(out.offsets.back() + count_E.const_data_ptr<std::int64_t>()[e]);
    }
    out.combine = [grouping](const at::Tensor& result_RD) {
      return gather_from_groups(result_RD, grouping);
    };
    return out;
  }

 private:
  std::int64_t num_experts_;
};

}  // namespace

std::unique_ptr<TokenDispatcher> local_dispatcher(std::int64_t num_experts) {
  return std::make_unique<LocalDispatcher>(num_experts);
}

}  // namespace moesaic
