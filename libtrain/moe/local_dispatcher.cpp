#include "moe/dispatcher.h"
#include "moe/permute.h"

namespace moesaic {
namespace {

class LocalDispatcher : public TokenDispatcher {
 public:
  explicit LocalDispatcher(std::int64_t num_experts) : num_experts_(num_experts) {}

  Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                      const Routing& routing) const override {
    const Grouping grouping =
        Grouping::make(routing.sent_TC, num_experts_, routing.capacity, routing.sent_everywhere);
    Dispatched out;
    out.rows_RD = scatter_to_groups(x_TD, grouping);
    out.weight_R = weights_in_groups(routing.weight_TC, grouping);
    out.groups = groups_of(grouping.offsets, tokens_in_groups(context.batch, grouping));
    out.combine = [grouping](const at::Tensor& result_RD) -> Arrival {
      return [grouping, result_RD] { return gather_from_groups(result_RD, grouping); };
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
