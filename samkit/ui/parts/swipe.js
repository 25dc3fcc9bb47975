// Two pictures with a line between them: the range input that lies over both says where it is. Another pair keeps the
// line where it was.

export default function (component) {
  const { data, parentElement } = component;
  const place = parentElement.querySelector(".place"), at = place.querySelector("input")?.value ?? "50";
  if (place.dataset.shown === data.html) return;
  place.dataset.shown = data.html;
  place.innerHTML = data.html;
  const input = place.querySelector("input");
  input.value = at;
  const move = () => input.parentElement.style.setProperty("--at", `${input.value}%`);
  input.oninput = move;
  move();
}
