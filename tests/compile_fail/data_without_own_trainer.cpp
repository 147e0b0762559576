// Data whose answers nobody can write, and that gives no batch.
// expect: limbeck: on_policy needs data with own(rows)
#include <limbeck/trainer/on_policy.hpp>

namespace lk = limbeck;

struct answered {
  std::size_t size() const { return 1; }
};

void use();
void use() {
  int student = 0;
  const auto write = [](const lk::rollouts& own, std::uint64_t) { return own; };
#ifdef LIMBECK_CONTROL
  (void)lk::on_policy(1, student, lk::prompted_data(std::vector<std::vector<lk::token_id>>{{1}}), write);
#else
  (void)lk::on_policy(1, student, answered{}, write);
#endif
}
