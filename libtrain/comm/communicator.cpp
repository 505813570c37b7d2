#include "comm/communicator.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "comm/backend.h"
#include "comm/trace_span.h"
#include "core/clock.h"
#include "core/error.h"

namespace moesaic {
namespace {

[[noreturn]] void refuse(const std::string& group, const std::string& label,
                         const std::string& reason) {
  throw Error(ErrorKind::kInternal,
              format("collective '{}' of group {}: {}", label, group, reason));
}

void require_tensor(const at::Tensor& tensor, const std::string& group, const std::string& label) {
  if (!tensor.defined()) refuse(group, label, "the tensor is undefined");
  if (!tensor.is_contiguous()) refuse(group, label, "the tensor is not contiguous");
}

void require_arithmetic(const at::Tensor& tensor, const std::string& group,
                        const std::string& label) {
  require_tensor(tensor, group, label);
  switch (tensor.scalar_type()) {
    case at::kFloat:
    case at::kDouble:
    case at::kInt:
    case at::kLong:
    case at::kByte:
      return;
    default:
      refuse(group, label,
             format("no reduction of {}; allowed are float32, float64, int32, int64 and uint8",
                    c10::toString(tensor.scalar_type())));
  }
}

void require_same_rows(const at::Tensor& one, const at::Tensor& other, const std::string& what,
                       const std::string& group, const std::string& label) {
  if (one.scalar_type() != other.scalar_type() || one.sizes().slice(1) != other.sizes().slice(1)) {
    refuse(group, label, what + " differ in shape or dtype");
  }
}

void require_rows(const at::Tensor& tensor, const std::vector<std::int64_t>& counts, int size,
                  const std::string& what, const std::string& group, const std::string& label) {
  require_tensor(tensor, group, label);
  if (tensor.dim() < 1) refuse(group, label, format("the {} tensor has no rows", what));
  if (static_cast<int>(counts.size()) != size) {
    refuse(group, label, format("{} {} counts for {} ranks", counts.size(), what, size));
  }
  for (const std::int64_t count : counts) {
    if (count < 0) refuse(group, label, format("negative {} count {}", what, count));
  }
  const auto total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (total != tensor.size(0)) {
    refuse(group, label,
           format("the {} counts sum to {}, the tensor has {} rows", what, total, tensor.size(0)));
  }
}

/// `mine` is shaped like the rows of `rank` in `all`.
void require_part(const at::Tensor& mine, const std::vector<std::int64_t>& rows, int rank,
                  const at::Tensor& all, const std::string& group, const std::string& label) {
  require_tensor(mine, group, label);
  const std::int64_t expected = rows[static_cast<std::size_t>(rank)];
  if (mine.dim() < 1 || mine.size(0) != expected) {
    refuse(group, label,
           format("rank {} has the shape [{}] for its {} rows", rank,
                  join(mine.sizes().vec(), ", "), expected));
  }
  require_same_rows(mine, all, "its rows and all rows", group, label);
}

at::Tensor rows_like(const at::Tensor& tensor, std::int64_t rows) {
  auto shape = tensor.sizes().vec();
  shape[0] = rows;
  return at::empty(shape, tensor.options());
}

at::Tensor bytes_of(const std::string& text, std::int64_t size) {
  at::Tensor bytes = at::empty({size}, at::kByte);
  if (size > 0) {
    std::memset(bytes.mutable_data_ptr(), 0, static_cast<std::size_t>(size));
    std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  }
  return bytes;
}

at::Tensor number(std::int64_t value) {
  at::Tensor tensor = at::empty({1}, at::kLong);
  *tensor.mutable_data_ptr<std::int64_t>() = value;
  return tensor;
}

}  // namespace

int Communicator::rank() const { return backend_->rank(); }
int Communicator::size() const { return backend_->size(); }
const std::string& Communicator::name() const { return backend_->name(); }

void Communicator::all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) const {
  all_reduce_async(std::move(tensor), op, label).wait();
}

Work Communicator::all_reduce_async(at::Tensor tensor, ReduceOp op,
                                    const std::string& label) const {
  require_arithmetic(tensor, name(), label);
  return started(backend_->all_reduce(std::move(tensor), op, label), label);
}

double Communicator::all_reduce(double value, ReduceOp op, const std::string& label) const {
  at::Tensor tensor = at::empty({1}, at::kDouble);
  double* data = tensor.mutable_data_ptr<double>();
  *data = value;
  all_reduce(tensor, op, label);
  return *data;
}

at::Tensor Communicator::all_gather(const at::Tensor& tensor, const std::string& label) const {
  require_tensor(tensor, name(), label);
  if (tensor.dim() < 1) refuse(name(), label, "the tensor has no rows");
  const std::vector<std::int64_t> rows(static_cast<std::size_t>(size()), tensor.size(0));
  at::Tensor all = rows_like(tensor, size() * tensor.size(0));
  all_gather_async(tensor, rows, all, label).wait();
  return all;
}

Work Communicator::all_gather_async(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                                    at::Tensor all, const std::string& label) const {
  require_rows(all, rows, size(), "gathered", name(), label);
  require_part(mine, rows, rank(), all, name(), label);
  return started(backend_->all_gather(mine, rows, std::move(all), label), label);
}

Work Communicator::reduce_scatter_async(const at::Tensor& all,
                                        const std::vector<std::int64_t>& rows, at::Tensor mine,
                                        const std::string& label) const {
  require_arithmetic(all, name(), label);
  require_rows(all, rows, size(), "scattered", name(), label);
  require_part(mine, rows, rank(), all, name(), label);
  return started(backend_->reduce_scatter(all, rows, std::move(mine), label), label);
}

void Communicator::broadcast(at::Tensor tensor, int root, const std::string& label) const {
  require_tensor(tensor, name(), label);
  if (root < 0 || root >= size()) refuse(name(), label, format("there is no root {}", root));
  started(backend_->broadcast(std::move(tensor), root, label), label).wait();
}

std::string Communicator::broadcast(const std::string& text, int root,
                                    const std::string& label) const {
  at::Tensor length = number(static_cast<std::int64_t>(text.size()));
  broadcast(length, root, label + " (length)");
  const auto bytes = *length.const_data_ptr<std::int64_t>();
  at::Tensor buffer = rank() == root ? bytes_of(text, bytes) : at::empty({bytes}, at::kByte);
  broadcast(buffer, root, label);
  return {static_cast<const char*>(buffer.const_data_ptr()), static_cast<std::size_t>(bytes)};
}

std::vector<std::string> Communicator::all_gather(const std::string& text,
                                                  const std::string& label) const {
  const at::Tensor lengths =
      all_gather(number(static_cast<std::int64_t>(text.size())), label + " (lengths)");
  const auto* length = lengths.const_data_ptr<std::int64_t>();
  const std::int64_t longest = *std::max_element(length, length + size());
  const at::Tensor all = all_gather(bytes_of(text, longest), label);
  std::vector<std::string> texts;
  for (int i = 0; i < size(); ++i) {
    const char* begin = static_cast<const char*>(all.const_data_ptr()) + i * longest;
    texts.emplace_back(begin, static_cast<std::size_t>(length[i]));
  }
  return texts;
}

at::Tensor Communicator::all_to_all(const at::Tensor& rows,
                                    const std::vector<std::int64_t>& send_rows,
                                    const std::vector<std::int64_t>& receive_rows,
                                    const std::string& label) const {
  require_rows(rows, send_rows, size(), "send", name(), label);
  at::Tensor received =
      rows_like(rows, std::accumulate(receive_rows.begin(), receive_rows.end(), std::int64_t{0}));
  all_to_all_async(rows, send_rows, received, receive_rows, label).wait();
  return received;
}

Work Communicator::all_to_all_async(const at::Tensor& rows,
                                    const std::vector<std::int64_t>& send_rows, at::Tensor received,
                                    const std::vector<std::int64_t>& receive_rows,
                                    const std::string& label) const {
  require_rows(rows, send_rows, size(), "send", name(), label);
  require_rows(received, receive_rows, size(), "receive", name(), label);
  const auto me = static_cast<std::size_t>(rank());
  if (send_rows[me] != receive_rows[me]) {
    refuse(name(), label,
           format("rank {} sends itself {} rows but expects {}", rank(), send_rows[me],
                  receive_rows[me]));
  }
  require_same_rows(rows, received, "sent and received rows", name(), label);
  return started(backend_->all_to_all(rows, send_rows, std::move(received), receive_rows, label),
                 label);
}

void Communicator::barrier(const std::string& label) const {
  const Span span(span_name::kWait, label);
  const Stopwatch watch;
  backend_->barrier(label);
  *waited_ += watch.seconds();
}

Communicator Communicator::split(int colour, const std::string& name) const {
  return Communicator(backend_->split(colour, name), waited_);
}

bool Communicator::serves_threads() const {
  return all_reduce(backend_->serves_threads() ? 1.0 : 0.0, ReduceOp::kMin, "serves threads") != 0;
}

Communicator Communicator::for_thread(const std::string& thread) const {
  return Communicator(backend_->for_thread(thread));
}

void Communicator::progress() const { backend_->progress(); }

void Communicator::at_step(std::int64_t step) const { backend_->at_step(step); }

}  // namespace moesaic
