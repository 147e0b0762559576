// A teacher that answers with what is neither logits nor a target.
// expect: limbeck: this teacher has no forward(inputs), no rows(numbers), no answer(batch, outputs), and no call with the inputs or with the batch, that gives logits or a target; lk::no_teacher{} stands for none
#include <limbeck/limbeck.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <vector>

namespace lk = limbeck;
using view = lk::rows<const float>;

struct batch_of_rows {
  std::vector<float> inputs;
};
struct rows_by_number {
  std::size_t size() const { return 4; }
  batch_of_rows batch(std::span<const std::size_t> rows) const { return {std::vector<float>(2 * rows.size())}; }
};
struct model {
  view forward(const std::vector<float>& x) { return {x.data(), x.size() / 2, 2}; }
  void backward(view) {}
  void zero_gradients() {}
};
struct still {
  void step(model&, lk::progress) {}
};
struct judge {
#ifdef LIMBECK_CONTROL
  view answer(const batch_of_rows&, const view& given) { return given; }
#else
  double answer(const batch_of_rows&, const view&) { return 1; }
#endif
};

void use();
void use() {
  model student;
  const rows_by_number data;
  lk::trainer{student, judge{}, lk::mse{}, still{}}.fit(data, {});
}
