"""How a grid looks: pygame only, at any size, apart from its dynamics."""

from __future__ import annotations

import pygame

from .grid_map import Cell, GridMap

FLOOR, EDGE, WALL = (246, 244, 238), (222, 218, 208), (72, 78, 92)
GOAL, HOLE, CLIFF, ICE = (88, 178, 110), (52, 60, 78), (196, 92, 72), (206, 228, 240)
START, JUMP, WIND, AGENT = (236, 214, 150), (190, 170, 220), (150, 170, 190), (58, 110, 200)


def draw(grid: GridMap, state: int, cell_size: int) -> pygame.Surface:
    """The grid as a surface."""
    rows, columns = grid.shape
    surface = pygame.Surface((columns * cell_size, rows * cell_size))
    surface.fill(FLOOR)
    for row in range(rows):
        for column in range(columns):
            rect = pygame.Rect(column * cell_size, row * cell_size, cell_size, cell_size)
            _draw_cell(surface, rect, grid.cell(row, column))
            if grid.wind and not grid.cell(row, column).wall:
                _draw_wind(surface, rect, grid.wind[column])
    if state >= 0:
        center = (int((state % columns + 0.5) * cell_size), int((state // columns + 0.5) * cell_size))
        pygame.draw.circle(surface, (255, 255, 255), center, max(int(cell_size * 0.36), 2))
        pygame.draw.circle(surface, AGENT, center, max(int(cell_size * 0.30), 1))
    return surface


def _draw_cell(surface: pygame.Surface, rect: pygame.Rect, cell: Cell) -> None:
    if cell.wall:
        surface.fill(WALL, rect)
        return
    color = FLOOR
    if cell.slip:
        color = ICE
    if cell.start:
        color = START
    if cell.jump:
        color = JUMP
    if cell.restart:
        color = CLIFF
    if cell.terminal:
        color = GOAL if cell.goal else HOLE
    surface.fill(color, rect)
    pygame.draw.rect(surface, EDGE, rect, 1)
    if cell.goal:
        _draw_flag(surface, rect)
    elif cell.reward is not None and not cell.restart:
        _draw_reward(surface, rect, cell.reward)


def _draw_reward(surface: pygame.Surface, rect: pygame.Rect, reward: float) -> None:
    pygame.font.init()
    text = pygame.font.Font(None, max(rect.height // 2, 8)).render(f"{reward:+g}", True, (70, 60, 90))
    surface.blit(text, text.get_rect(center=rect.center))


def _draw_flag(surface: pygame.Surface, rect: pygame.Rect) -> None:
    size = rect.width
    foot, top = (rect.x + size * 0.36, rect.y + size * 0.80), (rect.x + size * 0.36, rect.y + size * 0.2)
    pygame.draw.line(surface, (255, 255, 255), foot, top, max(size // 16, 1))
    tip = (rect.x + size * 0.74, rect.y + size * 0.34)
    pygame.draw.polygon(surface, (255, 255, 255), [top, tip, (top[0], rect.y + size * 0.48)])


def _draw_wind(surface: pygame.Surface, rect: pygame.Rect, strength: int) -> None:
    """One small upward chevron a cell of push."""
    size = rect.width
    for k in range(strength):
        x, y = rect.centerx, rect.y + size * (0.62 + 0.16 * k)
        points = [(x - size * 0.12, y + size * 0.1), (x, y), (x + size * 0.12, y + size * 0.1)]
        pygame.draw.lines(surface, WIND, False, points, max(size // 20, 1))
