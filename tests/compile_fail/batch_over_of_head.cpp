// A batch over ranks of logits that are there a chunk of rows at a time.
// expect: limbeck: batch_over(world) gathers rows of logits, and logits_of shows a chunk of them at a time
#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> numbers(6);
const lk::rows<const float> student(numbers.data(), 2, 3), teacher(numbers.data(), 2, 3), weights(numbers.data(), 2, 3);

void use();
void use() {
  const lk::one_rank world;
#ifdef LIMBECK_CONTROL
  lk::objective{lk::forward_kl{}}.value(student, teacher, lk::batch_over(world));
#else
  lk::objective{lk::forward_kl{}}.value(lk::logits_of(student, weights), teacher, lk::batch_over(world));
#endif
}
