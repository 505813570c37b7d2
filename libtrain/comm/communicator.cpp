#include "comm/communicator.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "comm/backend.h"
#include "comm/trace_span.h"
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

void Work::wait() {
  if (!state_) return;
  const Span span(span_name::kWait, label_);
  state_->wait();
  state_.reset();
}

int Communicator::rank() const { return backend_->rank(); }
int Communicator::size() const { return backend_->size(); }
const std::string& Communicator::name() const { return backend_->name(); }

void Communicator::all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) const {
  all_reduce_async(std::move(tensor), op, label).wait();
}

Work Communicator::all_reduce_async(at::Tensor tensor, ReduceOp op,
                                    const std::string& label) const {
  require_arithmetic(tensor, name(), label);
  return Work(backend_->all_reduce(std::move(tensor), op, label), label);
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
  at::Tensor all = rows_like(tensor, size() * tensor.size(0));
  Work(backend_->all_gather(tensor, all, label), label).wait();
  return all;
}

at::Tensor Communicator::reduce_scatter(const at::Tensor& tensor, const std::string& label) const {
  require_arithmetic(tensor, name(), label);
  if (tensor.dim() < 1 || tensor.size(0) % size() != 0) {
    refuse(name(), label, format("the rows do not divide by the {} ranks", size()));
  }
  at::Tensor mine = rows_like(tensor, tensor.size(0) / size());
  Work(backend_->reduce_scatter(tensor, mine, label), label).wait();
  return mine;
}

void Communicator::broadcast(at::Tensor tensor, int root, const std::string& label) const {
  require_tensor(tensor, name(), label);
  if (root < 0 || root >= size()) refuse(name(), label, format("there is no root {}", root));
  Work(backend_->broadcast(std::move(tensor), root, label), label).wait();
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
  if (rows.scalar_type() != received.scalar_type() ||
      rows.sizes().slice(1) != received.sizes().slice(1)) {
    refuse(name(), label, "sent and received rows differ in shape or dtype");
  }
  return Work(backend_->all_to_all(rows, send_rows, std::move(received), receive_rows, label),
              label);
}

void Communicator::barrier(const std::string& label) const {
  const Span span(span_name::kWait, label);
  backend_->barrier(label);
}

Communicator Communicator::split(int colour, const std::string& name) const {
  return Communicator(backend_->split(colour, name));
}

bool Communicator::serves_threads() const {
  return all_reduce(backend_->serves_threads() ? 1.0 : 0.0, ReduceOp::kMin, "serves threads") != 0;
}

Communicator Communicator::for_thread(const std::string& thread) const {
  return Communicator(backend_->for_thread(thread));
}

void Communicator::progress() const { backend_->progress(); }

}  // namespace moesaic
