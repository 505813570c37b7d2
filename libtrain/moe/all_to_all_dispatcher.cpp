#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/repeat_interleave.h>

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

// All-to-all of several tensors with the same rows: all are on their way before the first is waited
// for.
Tensors move_rows(const Communicator& group, const Tensors& tensors, const Rows& send,
                  const Rows& receive, const char* label) {
  Tensors received;
  std::vector<Work> work;
  for (const at::Tensor& tensor : tensors) {
    auto sizes = tensor.sizes().vec();
    sizes[0] = total(receive);
    received.push_back(at::empty(sizes, tensor.options()));
    work.push_back(
        group.all_to_all_async(tensor.contiguous(), send, received.back(), receive, label));
  }
  for (Work& w : work) w.wait();
  return received;
}

// move_rows, recorded: gradients travel the other way. Equal on all ranks: it never asks for row
// counts.
Tensors exchange(const Communicator& group, const Tensors& tensors, const Rows& send,
                 const Rows& receive, const char* forward_label, const char* backward_label) {
  Tensors detached;
  for (const at::Tensor& tensor : tensors) detached.push_back(tensor.detach());
  const Tensors received = move_rows(group, detached, send, receive, forward_label);
  record(forward_label, tensors, received,
         [group, send, receive, backward_label](const Tensors& dy) {
           return move_rows(group, dy, receive, send, backward_label);
         });
  return received;
}

class AllToAllDispatcher : public TokenDispatcher {
 public:
  AllToAllDispatcher(std::int64_t num_experts, const Communicator& group)
      : num_experts_(num_experts), local_experts_(num_experts / group.size()), group_(group) {}

  Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                      const at::Tensor& weight_TK, const at::Tensor& selected_TK) const override {
    const Grouping grouping =
        Grouping::make(selected_TK);  // by expert, so also by the rank that holds it
    const at::Tensor send_count_E = at::bincount(selected_TK.flatten(), {}, num_experts_);
    const Rows equal(static_cast<std::size_t>(group_.size()), local_experts_);
    const at::Tensor count_We = group_.all_to_all(send_count_E, equal, equal, "dispatch.counts")
                                    .cpu()
                                    .view({group_.size(), local_experts_});
    const Rows send = to_rows(send_count_E.cpu().view({group_.size(), local_experts_}).sum(1));
    const Rows receive = to_rows(count_We.sum(1));

    const Tensors received =
        exchange(group_,
                 {scatter_to_groups(x_TD, grouping),
                  reorder(weight_TK.flatten(), grouping.order_N, grouping.inverse_N)},
                 send, receive, "dispatch", "dispatch.backward");
    const Rearrangement by_expert = Rearrangement::make(count_We, x_TD.device());
    Dispatched out;
    out.rows_RD = reorder(received[0], by_expert.order_R, by_expert.inverse_R);
    out.weight_R = reorder(received[1], by_expert.order_R, by_expert.inverse_R);
    out.example_R =
        move_examples(context, grouping, send, receive).index_select(0, by_expert.order_R);
    out.offsets = {0};
    for (const std::int64_t rows : to_rows(count_We.sum(0)))
      out.offsets.push_back(out.offsets.back() + rows);
    out.combine = [group = group_, grouping, by_expert, send,
                   receive](const at::Tensor& result_RD) {
      const at::Tensor by_source = reorder(result_RD, by_expert.inverse_R, by_expert.order_R);
      const Tensors home =
          exchange(group, {by_source}, receive, send, "combine", "combine.backward");
      return gather_from_groups(home[0], grouping);
    };
    return out;
  }

 private:
  // Rows arrive by source rank, then expert; experts want them by expert, then source rank.
  struct Rearrangement {
    at::Tensor order_R, inverse_R;

    static Rearrangement make(const at::Tensor& count_We, at::Device device) {
      const at::Tensor expert =
          at::arange(count_We.size(1), count_We.options()).repeat({count_We.size(0)});
      const at::Tensor expert_R = at::repeat_interleave(expert, count_We.flatten());
      const at::Tensor order_R = at::argsort(expert_R, /*stable=*/true, 0, false);
      return {order_R.to(device), inverse_of(order_R).to(device)};
    }
  };

  at::Tensor move_examples(const ForwardContext& context, const Grouping& grouping,
                           const Rows& send, const Rows& receive) const {
    const at::Tensor example_N = context.batch.example_id_T.index_select(0, grouping.token_N);
    return move_rows(group_, {example_N}, send, receive, "dispatch.examples")[0];
  }

  std::int64_t num_experts_;
  std::int64_t local_experts_;
  Communicator group_;
};

}  // namespace

std::unique_ptr<TokenDispatcher> all_to_all_dispatcher(std::int64_t num_experts,
                                                       const Communicator& expert_group) {
  return std::make_unique<AllToAllDispatcher>(num_experts, expert_group);
}

}  // namespace moesaic
