// A teacher that cannot be asked.
// expect: limbeck: this teacher has no forward(inputs), no rows(numbers), no answer(batch, outputs), and no call with the inputs or with the batch, that gives logits or a target; lk::no_teacher{} stands for none
#include <limbeck/limbeck.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <vector>

namespace lk = limbeck;

struct batch_of_rows {
  std::vector<float> inputs;
  std::vector<int> labels;
};
struct rows_by_number {
  std::size_t size() const { return 4; }
  batch_of_rows batch(std::span<const std::size_t> rows) const {
    return {std::vector<float>(2 * rows.size()), std::vector<int>(rows.size())};
  }
};
struct model {
  lk::rows<const float> forward(const std::vector<float>& x) { return {x.data(), x.size() / 2, 2}; }
  void backward(lk::rows<const float>) {}
  void zero_gradients() {}
};
struct still {
  void step(model&, lk::progress) {}
};

void use();
void use() {
  model student;
  const rows_by_number data;
#ifdef LIMBECK_CONTROL
  lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, still{}}.fit(data, {});
#else
  lk::trainer{student, 4.0f, lk::cross_entropy{}, still{}}.fit(data, {});
#endif
}
