#ifndef LIMBECK_INTEROP_TORCH_DATA_HPP
#define LIMBECK_INTEROP_TORCH_DATA_HPP

/// @file
/// Tensors as the data of a trainer: `trainer.fit(lk::torch_data(inputs, labels), settings)`.

#include <limbeck/interop/torch.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What `torch_data(inputs, labels)` gives for some rows.
struct torch_labelled_batch {
  at::Tensor inputs;  ///< batch x ...
  at::Tensor labels;  ///< batch, or batch x positions
};
/// What `torch_data(inputs)` gives for some rows.
struct torch_batch {
  at::Tensor inputs;  ///< batch x ...
};

/// A data source of the rows (the first dimension) of tensors: `torch_data(inputs, labels)`, or `torch_data(inputs)` of rows
/// without labels. Copies handles, no numbers; a batch is a copy of its rows.
template <bool Labelled>
class torch_data {
 public:
  /// @throws value_error where a tensor is undefined or has no dimension, shape_error where the numbers of rows differ.
  torch_data(at::Tensor inputs, at::Tensor labels)
    requires Labelled
      : inputs_(std::move(inputs)), labels_(std::move(labels)) {
    if (rows_of(inputs_, "inputs") != rows_of(labels_, "labels"))
      raise<shape_error>("limbeck: labels has " + std::to_string(labels_.size(0)) + " rows, expected " +
                         std::to_string(inputs_.size(0)) + ", one a row of inputs");
  }
  /// The same, without labels.
  explicit torch_data(at::Tensor inputs)
    requires(!Labelled)
      : inputs_(std::move(inputs)) {
    rows_of(inputs_, "inputs");
  }
  /// How many rows.
  std::size_t size() const { return static_cast<std::size_t>(inputs_.size(0)); }
  /// These rows, in this order.
  auto batch(std::span<const std::size_t> rows) const {
    std::vector<std::int64_t> numbers(rows.begin(), rows.end());
    const at::Tensor which = at::from_blob(numbers.data(), {static_cast<std::int64_t>(numbers.size())}, at::kLong);
    if constexpr (Labelled) {
      return torch_labelled_batch{inputs_.index_select(0, which), labels_.index_select(0, which)};
    } else {
      return torch_batch{inputs_.index_select(0, which)};
    }
  }

 private:
  static std::int64_t rows_of(const at::Tensor& x, const char* name) {
    if (!x.defined()) raise<value_error>(std::string("limbeck: ") + name + " is an undefined torch::Tensor");
    if (x.dim() == 0) raise<value_error>(std::string("limbeck: ") + name + " is a torch::Tensor of one number, expected rows");
    return x.size(0);
  }
  at::Tensor inputs_, labels_;
};
/// @cond
torch_data(at::Tensor, at::Tensor) -> torch_data<true>;
torch_data(at::Tensor) -> torch_data<false>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
