#include "moe/dispatcher.h"
#include "moe/permute.h"

namespace moesaic {
namespace {

class LocalDispatcher : public TokenDispatcher {
 public:
  Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                      const Routing& routing) const override {
    const Grouping grouping = Grouping::make(routing.selected_TK);
    Dispatched out;
    out.rows_RD = scatter_to_groups(x_TD, grouping);
    out.weight_R = reorder(routing.weight_TK.flatten(), grouping.order_N, grouping.inverse_N);
    out.example_R = context.batch.example_id_T.index_select(0, grouping.token_N);
    const at::Tensor count_E = routing.record.count_E.cpu();
    out.offsets = {0};
    for (std::int64_t e = 0; e < count_E.size(0); ++e)
      out.offsets.push_back(out.offsets.back() + count_E.const_data_ptr<std::int64_t>()[e]);
    out.combine = [grouping](const at::Tensor& result_RD) {
      return [grouping, result_RD] { return gather_from_groups(result_RD, grouping); };
    };
    return out;
  }
};

}  // namespace

std::unique_ptr<TokenDispatcher> local_dispatcher() { return std::make_unique<LocalDispatcher>(); }

}  // namespace moesaic
