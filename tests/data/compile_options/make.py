"""Writes serialized compile options and device assignments with jaxlib: `python3 tests/data/compile_options/make.py`.

Made with jaxlib 0.10.2. What was set stands in tests/unit/compile_options_test.cpp too.
"""

from pathlib import Path

import numpy as np
from jax._src.lib import xla_client

HERE = Path(__file__).resolve().parent


def everything() -> xla_client.CompileOptions:
    options = xla_client.CompileOptions()
    options.num_replicas = 2
    options.num_partitions = 3
    options.parameter_is_tupled_arguments = True
    options.compile_portable_executable = True
    options.profile_version = 7
    options.device_assignment = xla_client.DeviceAssignment.create(np.array([[0, 1, 2], [5, 4, 3]]))
    options.env_option_overrides = [("xla_cpu_enable_fast_math", "true"), ("xla_dump_to", "/tmp/dump")]
    build = options.executable_build_options
    build.use_spmd_partitioning = True
    build.use_auto_spmd_partitioning = True
    build.auto_spmd_partitioning_mesh_shape = [2, 3]
    build.auto_spmd_partitioning_mesh_ids = [0, 1, 2, 3, 4, 5]
    build.use_shardy_partitioner = True
    build.exec_time_optimization_effort = 0.5
    build.memory_fitting_effort = -0.5
    build.optimization_level = 2
    build.memory_fitting_level = 3
    build.fdo_profile = b"profile"
    build.allow_spmd_sharding_propagation_to_parameters = [True, False]
    build.allow_spmd_sharding_propagation_to_output = [False, True, True]
    return options


def main() -> None:
    (HERE / "jax_default.pb").write_bytes(xla_client.CompileOptions().SerializeAsString())
    (HERE / "jax_everything.pb").write_bytes(everything().SerializeAsString())
    assignment = xla_client.DeviceAssignment.create(np.array([[0, 1, 2], [5, 4, 300]]))
    (HERE / "device_assignment_2x3.pb").write_bytes(assignment.serialize())


if __name__ == "__main__":
    main()
