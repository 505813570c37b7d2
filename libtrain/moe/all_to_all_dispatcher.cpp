#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/stack.h>

#include <memory>
#include <numeric>

#include "moe/dispatcher.h"
#include "moe/permute.h"
#include "nn/autograd.h"

namespace moesaic {
namespace {

using Rows = std::vector<std::int64_t>;

std::int64_t total(const Rows& rows) {
  return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
}

Rows to_rows(const at::Tensor& count) {
  const auto* data = count.const_data_ptr<std::int64_t>();
  return Rows(data, data + count.numel());
}

// Row counts that the host must know, for a device in one round trip. Given: those that go to each
// rank's experts, and those that come from each rank for each expert here.
struct HostCounts {
  Rows send, receive, by_expert;

  HostCounts(const at::Tensor& going_We, const at::Tensor& coming_We) {
    const at::Tensor both = at::stack({going_We, coming_We}).cpu();
    send = to_rows(both[0].sum(1));
    receive = to_rows(both[1].sum(1));
    by_expert = to_rows(both[1].sum(0));
  }
};

// All-to-all of several tensors with the same rows, on its way from construction to wait().
class MovingRows {
 public:
  MovingRows(const Communicator& group, const Tensors& tensors, const Rows& send,
             const Rows& receive, const char* label) {
    for (const at::Tensor& tensor : tensors) {
      auto sizes = tensor.sizes().vec();
      sizes[0] = total(receive);
      received_.push_back(at::empty(sizes, tensor.options()));
      work_.push_back(
          group.all_to_all_async(tensor.contiguous(), send, received_.back(), receive, label));
    }
  }
  Tensors wait() {
    for (Work& work : work_) work.wait();
    return received_;
  }

 private:
  Tensors received_;
  std::vector<Work> work_;
};

// Rows that move in the graph: gradients travel the other way, and weights get their gradients
// meanwhile. Equal on all ranks: it never asks for row counts.
class Exchange {
 public:
  Exchange(const ForwardContext& context, const Communicator& group, Tensors tensors,
           const Rows& send, const Rows& receive, const char* label, const char* backward_label)
      : tensors_(std::move(tensors)),
        label_(label),
        moving_(group, detached(tensors_), send, receive, label),
        backward_([group, send, receive, backward_label, sink = context.sink](const Tensors& dy) {
          MovingRows back(group, dy, receive, send, backward_label);
          if (sink != nullptr) sink->catch_up();
          return back.wait();
        }) {}

  Tensors wait() {
    const Tensors received = moving_.wait();
    record(label_, tensors_, received, backward_);
    return received;
  }

 private:
  static Tensors detached(const Tensors& tensors) {
    Tensors out;
    for (const at::Tensor& tensor : tensors) out.push_back(tensor.detach());
    return out;
  }

  Tensors tensors_;
  const char* label_;
  MovingRows moving_;
  Backward backward_;
};

class AllToAllDispatcher : public TokenDispatcher {
 public:
  AllToAllDispatcher(const at::Tensor& placement_E, const Communicator& group)
      : placement_E_(placement_E),
        local_experts_(placement_E.size(0) / group.size()),
        group_(group) {}

  Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                      const Routing& routing) const override {
    // By slot, so also by the rank that holds it.
    const Grouping grouping = Grouping::make(slots_of(routing.sent_TC), placement_E_.size(0),
                                             routing.capacity, routing.sent_everywhere);
    const Rows equal(static_cast<std::size_t>(group_.size()), local_experts_);
    MovingRows counts(group_, {grouping.count_E}, equal, equal, "dispatch.counts");
    const at::Tensor rows_ND = scatter_to_groups(x_TD, grouping);
    const at::Tensor weight_N = weights_in_groups(routing.weight_TC, grouping);
    const at::Tensor token_N = tokens_in_groups(context.batch, grouping);
    const at::Tensor count_We = counts.wait()[0].view({group_.size(), local_experts_});
    const HostCounts host(grouping.count_E.view(count_We.sizes()), count_We);
    const Rows &send = host.send, &receive = host.receive;

    Exchange there(context, group_, {rows_ND, weight_N}, send, receive, "dispatch",
                   "dispatch.backward");
    MovingRows tokens(group_, {token_N}, send, receive, "dispatch.tokens");
    const Rearrangement by_expert = Rearrangement::make(count_We, total(receive));
    const Tensors received = there.wait();
    Dispatched out;
    out.rows_RD = reorder(received[0], by_expert.order_R, by_expert.inverse_R);
    out.weight_R = reorder(received[1], by_expert.order_R, by_expert.inverse_R);
    out.groups = groups_of(GroupOffsets(count_We.sum(0), host.by_expert),
                           tokens.wait()[0].index_select(0, by_expert.order_R));
    out.combine = [&context, group = group_, grouping, by_expert, send,
                   receive](const at::Tensor& result_RD) -> Arrival {
      const at::Tensor by_source = reorder(result_RD, by_expert.inverse_R, by_expert.order_R);
      const auto home = std::make_shared<Exchange>(context, group, Tensors{by_source}, receive,
                                                   send, "combine", "combine.backward");
      return [home, grouping] { return gather_from_groups(home->wait()[0], grouping); };
    };
    return out;
  }

 private:
  // Rows arrive by source rank, then expert; experts want them by expert, then source rank.
  struct Rearrangement {
    at::Tensor order_R, inverse_R;

    static Rearrangement make(const at::Tensor& count_We, std::int64_t rows) {
      const at::Tensor expert =
          at::arange(count_We.size(1), count_We.options()).repeat({count_We.size(0)});
      // A device that is told how many rows come out is not asked.
      const at::Tensor expert_R =
          at::repeat_interleave(expert, count_We.flatten(), std::nullopt, rows);
      const at::Tensor order_R = at::argsort(expert_R, /*stable=*/true, 0, false);
      return {order_R, inverse_of(order_R)};
    }
  };

  at::Tensor slots_of(const at::Tensor& expert_TC) const {
    const at::Tensor none = expert_TC.lt(0);
    return placement_E_.index_select(0, expert_TC.masked_fill(none, 0).flatten())
        .view(expert_TC.sizes())
        .masked_fill(none, -1);
  }

  at::Tensor placement_E_;
  std::int64_t local_experts_;
  Communicator group_;
};

}  // namespace

std::unique_ptr<TokenDispatcher> all_to_all_dispatcher(const at::Tensor& placement_E,
                                                       const Communicator& expert_group) {
  return std::make_unique<AllToAllDispatcher>(placement_E, expert_group);
}

}  // namespace moesaic
