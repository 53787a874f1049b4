import torch

from trainers.common.batch import sequences


def test_sequences_follow_each_copy_and_are_filled_up_with_zeros() -> None:
    column = torch.arange(10.0).view(5, 2)  # copy 0 lives through 0, 2, 4, 6, 8; copy 1 through 1, 3, 5, 7, 9
    assert sequences(column, 2).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 0], [9, 0]]
    assert sequences(column, 5).tolist() == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]


def test_sequences_of_one_step_are_the_rows_themselves() -> None:
    column = torch.randn(3, 4, 2)
    rows = sequences(column, 1)
    assert torch.equal(rows.squeeze(1), column.flatten(0, 1))
    assert rows.data_ptr() == column.data_ptr()
    assert sequences(torch.ones(3, 4, dtype=torch.bool), 2).sum() == 12
