#ifndef LIMBECK_TESTS_UNIT_TORCH_NETWORKS_HPP
#define LIMBECK_TESTS_UNIT_TORCH_NETWORKS_HPP

// A network as users have them: batch normalisation, dropout, a hidden layer that a loss looks at.

#include "torch_and_catch.hpp"

#include <limbeck/torch_trainer.hpp>

#include <filesystem>
#include <vector>

namespace lk = limbeck;

struct network_impl : torch::nn::Module {
  torch::nn::Linear first, last;
  torch::nn::BatchNorm1d norm;
  torch::nn::Dropout drop;
  explicit network_impl(std::int64_t width, double rate = 0.25)
      : first(6, width), last(width, 3), norm(width), drop(rate) {
    register_module("first", first);
    register_module("last", last);
    register_module("norm", norm);
    register_module("drop", drop);
  }
  auto forward(const torch::Tensor& x) {
    const torch::Tensor h = torch::relu(norm(first(x)));
    return lk::outputs{lk::output<"logits">(last(drop(h))), lk::output<"hidden">(h)};
  }
  torch::Tensor classify(const torch::Tensor& x) { return last(drop(torch::relu(norm(first(x))))); }
};
using network = std::shared_ptr<network_impl>;
inline network make_network(std::int64_t width, std::uint64_t seed, double rate = 0.25) {
  torch::manual_seed(seed);
  return std::make_shared<network_impl>(width, rate);
}
/// How to ask for the logits alone.
struct classify {
  torch::Tensor operator()(network_impl& m, const torch::Tensor& x) const { return m.classify(x); }
};

/// All numbers of a module.
inline std::vector<float> numbers_of(torch::nn::Module& m) {
  std::vector<float> all;
  const auto add = [&](const torch::Tensor& x) {
    const auto c = x.detach().to(torch::kFloat).contiguous();
    all.insert(all.end(), c.data_ptr<float>(), c.data_ptr<float>() + c.numel());
  };
  for (const auto& p : m.parameters()) add(p);
  for (const auto& b : m.buffers()) add(b);
  return all;
}

/// A name in the temporary folder, removed before and after.
struct temporary {
  std::filesystem::path path;
  explicit temporary(const std::string& name) : path(std::filesystem::temp_directory_path() / ("limbeck_torch_" + name)) { clear(); }
  ~temporary() { clear(); }
  temporary(const temporary&) = delete;
  temporary& operator=(const temporary&) = delete;
  void clear() const {
    std::error_code e;
    std::filesystem::remove(path, e);
  }
};

#endif
