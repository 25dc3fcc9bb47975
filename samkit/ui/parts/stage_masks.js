// Hands the page's masks to the stage of a canvas, which may come to the screen a little later.

export default function ({ data }) {
  let left = 100;
  const hand = () => {
    const stage = window.samkitStages?.get(data.frame);
    if (stage?.data) stage.setOverlay(data);
    else if (left-- > 0) timer = setTimeout(hand, 50);
  };
  let timer = setTimeout(hand);
  return () => clearTimeout(timer);
}
