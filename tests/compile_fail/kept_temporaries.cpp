// Every function that keeps a view of what it is given, with a temporary that owns its memory. A new one gets a line.
// expect: limbeck: a view of this temporary would be kept
// times: 19
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

/// A tensor that owns its memory, a type for each line: a compiler says the same of one type once.
template <int Line>
struct owner {
  std::vector<float> numbers = std::vector<float>(6);
};
template <int Line>
struct lk::tensor_traits<owner<Line>> {
  using scalar = float;
  template <class S>
  using lanes = lk::host_lanes<S>;
  using sweep = lk::host_rows;
  static lk::rows<const float> view(const owner<Line>& x) { return {x.numbers.data(), 2, 3}; }
};
/// The same of a type that is known at run time.
template <int Line>
struct run_time {
  std::vector<float> numbers = std::vector<float>(6);
};
template <int Line>
struct lk::any_tensor_traits<run_time<Line>> {
  static lk::any_tensor view(const run_time<Line>& x) {
    const std::ptrdiff_t shape[] = {2, 3};
    return lk::any_tensor(x.numbers.data(), lk::element_type::float32, shape);
  }
};

void use(const owner<0>& kept, const std::vector<owner<0>>& many, const run_time<0>& unknown,
         const std::vector<float>& numbers, const lk::sparse_store<float>& store);
void use(const owner<0>& kept, [[maybe_unused]] const std::vector<owner<0>>& many,
         [[maybe_unused]] const run_time<0>& unknown, [[maybe_unused]] const std::vector<float>& numbers,
         [[maybe_unused]] const lk::sparse_store<float>& store) {
  (void)kept;
#ifndef LIMBECK_CONTROL
  (void)lk::mean_of_probabilities(owner<1>{}, kept);
  (void)lk::mean_of_logits(kept, owner<2>{});
  (void)lk::geometric_mean(owner<3>{}, kept);
  (void)lk::mean_of_logits(std::vector<owner<4>>(2));
  (void)lk::interpolated(owner<5>{}, 0.5);
  (void)lk::label_mixed(owner<6>{}, 0.5);
  (void)lk::smoothed(owner<7>{}, 0.1);
  (void)lk::min_max_scores(owner<8>{});
  (void)lk::power_transformed(owner<9>{}, 0.5);
  (void)lk::zipf_labels(owner<10>{});
  (void)lk::weights_of(owner<11>{});
  (void)lk::routed(owner<12>{});
  (void)lk::ensemble_variance(kept, owner<13>{});
  (void)lk::mutual_information(owner<14>{}, kept);
  (void)lk::samples_in_columns(owner<15>{});
  (void)lk::sparse_kl(lk::keep_top(kept, 1));
  (void)lk::given(std::vector<float>(2));
  (void)lk::as_rows<const float>(run_time<16>{});
  (void)lk::as_span<const float>(run_time<17>{});
#else
  (void)lk::mean_of_probabilities(kept, kept);
  (void)lk::mean_of_logits(kept, kept);
  (void)lk::geometric_mean(kept, kept);
  (void)lk::mean_of_logits(many);
  (void)lk::interpolated(kept, 0.5);
  (void)lk::label_mixed(kept, 0.5);
  (void)lk::smoothed(kept, 0.1);
  (void)lk::min_max_scores(kept);
  (void)lk::power_transformed(kept, 0.5);
  (void)lk::zipf_labels(kept);
  (void)lk::weights_of(kept);
  (void)lk::routed(kept);
  (void)lk::ensemble_variance(kept, kept);
  (void)lk::mutual_information(kept, kept);
  (void)lk::samples_in_columns(kept);
  (void)lk::sparse_kl(store);
  (void)lk::given(numbers);
  (void)lk::as_rows<const float>(unknown);
  (void)lk::as_span<const float>(unknown);
#endif
}
