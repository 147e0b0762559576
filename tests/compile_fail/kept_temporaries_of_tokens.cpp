// As kept_temporaries.cpp, of which clang shows 20 mistakes at most: views of tokens.
// expect: limbeck: a view of this temporary would be kept
// times: 3
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

/// A tensor that owns its memory.
struct owner {
  std::vector<float> numbers = std::vector<float>(6);
};
template <>
struct lk::tensor_traits<owner> {
  using scalar = float;
  template <class S>
  using lanes = lk::host_lanes<S>;
  using sweep = lk::host_rows;
  static lk::rows<const float> view(const owner& x) { return {x.numbers.data(), 2, 3}; }
};

void use(const owner& kept, const std::vector<int>& labels);
void use([[maybe_unused]] const owner& kept, [[maybe_unused]] const std::vector<int>& labels) {
#ifndef LIMBECK_CONTROL
  (void)lk::first_classes(2, owner{});
  (void)lk::next_tokens(std::vector<int>(2), 1);
  (void)lk::median_of(lk::of_student(lk::entropy{}), lk::segments::padded(1, 2));
#else
  (void)lk::first_classes(2, kept);
  (void)lk::next_tokens(labels, 1);
  const lk::segments all = lk::segments::padded(1, 2);
  (void)lk::median_of(lk::of_student(lk::entropy{}), all);
#endif
}
