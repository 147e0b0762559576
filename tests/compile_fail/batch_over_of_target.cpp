// A loss that relates all rows of a batch over ranks, and a target in the place of the teacher's tensor.
// expect: limbeck: a batchwise loss over ranks reads the teacher's rows as a tensor; fill(target, tensor) first
#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>
#include <limbeck/relations.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> numbers(6);
const lk::rows<const float> student(numbers.data(), 2, 3), teacher(numbers.data(), 2, 3);

void use();
void use() {
  const lk::one_rank world;
  const auto target = lk::mean_of_probabilities(teacher, teacher);
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}.value(student, target, lk::batch_over(world));
#else
  lk::objective{lk::linear_cka{}}.value(student, target, lk::batch_over(world));
#endif
}
